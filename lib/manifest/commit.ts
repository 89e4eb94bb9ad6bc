// Writes one commit: parts as they fill, then the root, whose creation is the commit. A version exists whole or not at all;
// of several writers at most one succeeds, and nobody's success is ever undone.

import { type Clock, systemClock } from '../clock.js';
import { RrbackupError } from '../errors/index.js';
import type { EncodedPackInfo, PackInfo } from '../pack/types.js';
import { tellOurs, versionsOf } from '../store/read-back.js';
import type { Call } from '../store/types.js';
import { ChainReader } from './chain.js';
import { type Entrants, isParent } from './choice.js';
import { ContentsWriter } from './contents.js';
import { type Group, hasVersion, listGroups, readEntrants } from './entrants.js';
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

type StoredRoot = SealedObject & { readonly versionId: string };

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
   * committed and begins again with the next number. `size_bytes`: of the root; `stored_bytes`: with its parts.
   */
  async publish(
    header: VersionHeader,
    call: Call = {},
  ): Promise<{ hash: string; versionId: string; size_bytes: number; stored_bytes: number }> {
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
    if (!isFresh && (await versionsOf(store, key, call)).length > 0) throw lostRace(header.sequence);
    const versionId = await this.#create(key, root, header.sequence, call);
    if (!store.conditionalCreate) await this.#withdrawIfLost(header, { ...root, versionId }, call);
    const size_bytes = root.bytes.length;
    const stored_bytes = [...contents.packParts, ...contents.rowParts].reduce(
      (sum, part) => sum + part.size_bytes,
      size_bytes,
    );
    return { hash: root.hash, versionId, size_bytes, stored_bytes };
  }

  async #create(key: string, root: SealedObject, sequence: number, call: Call): Promise<string> {
    try {
      return (await this.#options.store.create(key, root.bytes, call)).versionId;
    } catch (error) {
      if (error instanceof RrbackupError && error.code === 'store.exists') throw lostRace(sequence, error);
      throw error;
    }
  }

  /**
   * Without conditional create, several writers may have put here, and one of them may withdraw what we build upon. Each looks
   * after its put: who sees nobody else, its parent in its place and nothing behind it stays for good, and so does who has been
   * built upon. Whoever sees anything else takes back exactly its own. lib/manifest/FORMAT.md says what that holds.
   */
  async #withdrawIfLost(header: VersionHeader, root: StoredRoot, call: Call): Promise<void> {
    const { store } = this.#options;
    const { before, here, behind } = await this.#around(header, call);
    const following = await readEntrants(this.#options, header.stream, behind, call);
    const told = await tellOurs(store, here.objects, root, call);
    // Some of it is gone by now: what was listed says nothing about what is.
    if (told === undefined || (behind.objects.length > 0 && isEmpty(following)))
      return this.#withdrawIfLost(header, root, call);
    if (isParent(root.hash, following)) return;
    const { ours, others } = told;
    const isAlone = ours.length > 0 && others.length === 0 && following.candidates.length === 0;
    if (isAlone && (await this.#holdsParent(header, before, call))) return;
    const key = commitKey(header.stream, header.sequence);
    for (const { versionId } of ours) await store.remove(key, versionId, call);
    // Who had seen ours may have built upon it before it was gone, and stays.
    const then = await this.#around(header, call);
    if (isParent(root.hash, await readEntrants(this.#options, header.stream, then.behind, call)))
      await store.put(key, root.bytes, call);
    throw lostRace(header.sequence);
  }

  /** What stands at the keys of the version before, of this one and of the next: one listing. */
  async #around(
    { stream, sequence }: VersionHeader,
    call: Call,
  ): Promise<{ before: Group; here: Group; behind: Group }> {
    const around = [sequence - 1, sequence, sequence + 1].map((at): Group => ({ sequence: at, objects: [] }));
    for await (const group of listGroups(this.#options, stream, sequence - 1, call)) {
      if (group.sequence > sequence + 1) break;
      around[group.sequence - sequence + 1] = group;
    }
    const [before, here, behind] = around as [Group, Group, Group];
    return { before, here, behind };
  }

  /** Whether the parent is the object that was read, or alone of all that stand there; or a checkpoint stands for it. */
  async #holdsParent(
    { stream, sequence, parentHash, parentVersionId }: VersionHeader,
    before: Group,
    call: Call,
  ): Promise<boolean> {
    if (sequence === 1 || hasVersion(before, parentVersionId)) return true;
    const { candidates } = await readEntrants(this.#options, stream, before, call);
    if (candidates.length === 1 && candidates[0]!.hash === parentHash) return true;
    const checkpoints = await new ChainReader(this.#options).checkpoints(stream, sequence - 1, call);
    return checkpoints[0] === sequence - 1;
  }
}

const isEmpty = ({ candidates, failure }: Entrants): boolean =>
  candidates.length === 0 && failure === undefined;
