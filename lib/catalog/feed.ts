// Takes in a version while a backup is still making it, so that little is left to do once it is committed; no version shows any
// of it before. Never a reason for a backup to fail: what goes wrong here is left, and the commit is taken in as any other.

import type { EncodedRows } from '../manifest/row-stream.js';
import { StoredRowReader } from '../manifest/stored-rows.js';
import type { Commit } from '../manifest/types.js';
import type { CommitWork } from './commit-work.js';
import type { Ingestion } from './ingest.js';
import type { Beginning } from './sequence.js';

export class Feed {
  readonly #ingestion: Ingestion;
  readonly #version: Beginning;
  readonly #reader: StoredRowReader;
  readonly #onWritten: () => void;
  #work: CommitWork | undefined;
  #isLost = false;

  /** Made by `Catalog.feed` only. */
  constructor(ingestion: Ingestion, version: Beginning, onWritten: () => void) {
    this.#ingestion = ingestion;
    this.#version = version;
    this.#onWritten = onWritten;
    this.#reader = new StoredRowReader('a version in the making', ingestion.shape);
  }

  /** The next rows, in path order with all others. A few stay in memory; many are written. */
  async add({ bytes }: EncodedRows): Promise<void> {
    await this.#try(async () => {
      this.#work ??= await this.#ingestion.begin(this.#version, undefined, false, false);
      for (const rows of this.#reader.read(bytes))
        if (await this.#ingestion.addRows(this.#work, rows)) this.#onWritten();
    });
  }

  /** The version is committed, with the rows that were added. False: it has to be ingested. */
  async finish(commit: Commit): Promise<boolean> {
    const work = this.#work;
    if (work === undefined) return false;
    await this.#try(async () => {
      this.#reader.end();
      await this.#ingestion.end(work, commit);
      this.#ingestion.finish();
      this.#onWritten();
    });
    return !this.#isLost;
  }

  /** Whoever ingests the commit meets the same trouble, and says so. */
  async #try(act: () => Promise<void>): Promise<void> {
    if (this.#isLost) return;
    try {
      await act();
    } catch {
      this.#isLost = true;
    }
  }
}
