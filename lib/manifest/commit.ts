// Writes one commit: parts as they fill, then the root, whose creation is the commit. A version exists whole or not at all;
// of several writers at most one succeeds, and nobody's success is ever undone.

import { type Clock, systemClock } from '../clock.js';
import { sha256 } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import type { EncodedPackInfo, PackInfo } from '../pack/types.js';
import type { Call, StoredObject } from '../store/types.js';
import { ContentsWriter } from './contents.js';
import { commitMagic } from './layout.js';
import { commitKey } from './names.js';
import { rootBinding, sealObject, type ManifestContext, type SealedObject } from './object.js';
import { encodeCommitRoot } from './root.js';
import type { EncodedRows } from './row-stream.js';
import type { Row, VersionHeader } from './types.js';

export interface CommitWriterOptions extends ManifestContext {
  /** 32 hex digits. */
  readonly stream: string;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

/** A history that was listed so long ago is listed again before a commit. */
const fresh_ms = 60_000;

function lostRace(sequence: number, cause?: unknown): RrbackupError {
  return new RrbackupError({
    code: 'manifest.lost_race',
    kind: 'busy',
    message: `another backup of the same source has committed version ${sequence} first`,
    guidance: 'run the backup again; what it has uploaded is used',
    cause,
  });
}

/** Used once, made when the history has just been read. Call cryptoReady before. */
export class CommitWriter {
  readonly #options: CommitWriterOptions;
  readonly #contents: ContentsWriter;
  readonly #clock: Clock;
  readonly #begun_ms: number;

  constructor(options: CommitWriterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#begun_ms = this.#clock.monotonic_ms();
    this.#contents = new ContentsWriter(options, options.stream, options.signal);
  }

  get rowCount(): number {
    return this.#contents.rowCount;
  }

  get packCount(): number {
    return this.#contents.packCount;
  }

  /** Rows in path order, each path once. Stores parts as they fill. Throws 'manifest.bad_row', 'manifest.entry_too_large'. */
  addRow(row: Row): Promise<void> {
    return this.#contents.addRow(row);
  }

  /** Rows that are encoded already, in path order with all others. */
  addEncodedRows(rows: EncodedRows): Promise<void> {
    return this.#contents.addEncodedRows(rows);
  }

  /** A pack that this commit adds, acknowledged by the store. In any order, also while rows are added. */
  addPack(info: PackInfo | EncodedPackInfo): Promise<void> {
    return this.#contents.addPack(info);
  }

  /**
   * Makes the version exist. Throws 'manifest.lost_race' (kind busy) where the number is taken: the caller reads what was
   * committed and begins again with the next number.
   */
  async publish(
    header: VersionHeader,
    call: Call = {},
  ): Promise<{ hash: string; versionId: string; size_bytes: number }> {
    const { stream, store } = this.#options;
    if (header.stream !== stream) throw new RangeError(`a header of stream ${header.stream} for ${stream}`);
    const contents = await this.#contents.finish();
    const root = sealObject(
      this.#options,
      commitMagic,
      rootBinding(stream, header.sequence),
      encodeCommitRoot(header, contents),
    );
    const key = commitKey(stream, header.sequence);
    // A delete marker hides a commit from a conditional create, but not from a listing; and where there is none, a race that
    // is lost already is better not entered.
    const isFresh = this.#clock.monotonic_ms() - this.#begun_ms < fresh_ms;
    if (!isFresh && (await this.#versionsOf(key, call)).length > 0) throw lostRace(header.sequence);
    const versionId = await this.#create(key, root, header.sequence, call);
    if (!store.conditionalCreate) await this.#withdrawIfNotAlone(key, root, header.sequence, call);
    return { hash: root.hash, versionId, size_bytes: root.bytes.length };
  }

  async #create(key: string, root: SealedObject, sequence: number, call: Call): Promise<string> {
    try {
      return (await this.#options.store.create(key, root.bytes, call)).versionId;
    } catch (error) {
      if (error instanceof RrbackupError && error.code === 'store.exists') throw lostRace(sequence, error);
      throw error;
    }
  }

  async #versionsOf(key: string, call: Call): Promise<StoredObject[]> {
    const versions: StoredObject[] = [];
    const { signal } = call;
    for await (const object of this.#options.store.list(key, signal === undefined ? {} : { signal }))
      if (object.key === key) versions.push(object);
    return versions;
  }

  /**
   * Without conditional create, two writers may both have put. Each lists after its put, so the later one sees the other (both
   * may) and takes back exactly its own. Neither a clock nor the order of a listing decides.
   */
  async #withdrawIfNotAlone(key: string, root: SealedObject, sequence: number, call: Call): Promise<void> {
    const { store } = this.#options;
    const ours: StoredObject[] = [];
    let isAlone = true;
    for (const object of await this.#versionsOf(key, call)) {
      const isOurs = await this.#isOurs(object, root, call);
      if (isOurs === true) ours.push(object);
      else if (isOurs === false) isAlone = false;
    }
    if (isAlone) return;
    for (const { versionId } of ours) await store.remove(key, versionId, call);
    throw lostRace(sequence);
  }

  /**
   * By its bytes: a put that was retried after a lost answer leaves two versions of ours. Undefined: gone since it was listed,
   * for another writer has withdrawn it.
   */
  async #isOurs(object: StoredObject, root: SealedObject, call: Call): Promise<boolean | undefined> {
    if (object.size_bytes !== root.bytes.length) return false;
    const { key, versionId } = object;
    try {
      const bytes = await this.#options.store.get(key, {
        ...call,
        ...(versionId === '' ? {} : { versionId }),
      });
      return sha256(bytes).toString('hex') === root.hash;
    } catch (error) {
      if (error instanceof RrbackupError && error.code === 'store.missing') return undefined;
      throw error;
    }
  }
}
