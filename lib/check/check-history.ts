// Which versions of a stream can be read from the store, by the log alone: every root is proven by the chain, every part is held
// against the listing (or read, if asked for), and behind a gap a checkpoint leads on, as it does for every reader. The
// catalog has no say here.

import { damaged, RrbackupError } from '../errors/index.js';
import type { ChainReader, KnownCommit } from '../manifest/chain.js';
import type { Checkpoint } from '../manifest/checkpoint.js';
import {
  checkpointKey,
  checkpointsPrefix,
  commitKey,
  commitsPrefix,
  partKey,
  sequenceOfCheckpoint,
  sequenceOfCommit,
} from '../manifest/names.js';
import type { Commit, VersionHeader } from '../manifest/types.js';
import type { Run } from '../progress.js';
import { isGap } from '../repository/alarm.js';
import { callOf, type Inventory } from './check-inventory.js';
import { otherSize, type PackLedger } from './check-packs.js';
import type { Finding, Findings, FindingCode } from './findings.js';

/** What a stream's log leads to. */
export interface History {
  readonly stream: string;
  /** Of any entry that could be read. */
  readonly header: VersionHeader | undefined;
  /** Hash of the log entry of each version that can be read, ascending. */
  readonly readable: ReadonlyMap<number, string>;
  /** Log entries that cannot be read whole though their roots can. */
  readonly broken: ReadonlySet<number>;
  /** Checkpoints that can be read. */
  readonly checkpoints: readonly number[];
  /** Those that cannot, or not whole. */
  readonly badCheckpoints: readonly number[];
  /** The newest version that the store names anywhere. */
  readonly newest: number;
}

export interface HistoryOptions {
  readonly chain: ChainReader;
  readonly inventory: Inventory;
  readonly packs: PackLedger;
  readonly findings: Findings;
  /** Every byte of the manifest, not only what there is to it. */
  readonly readsRows: boolean;
  readonly run: Run;
}

const shape = { rows: 4096, room_bytes: 0 };

export class HistoryCheck {
  readonly #options: HistoryOptions;
  readonly #stream: string;
  readonly #readable = new Map<number, string>();
  readonly #broken = new Set<number>();
  readonly #checkpoints = new Map<number, Checkpoint>();
  readonly #badCheckpoints = new Set<number>();
  #header: VersionHeader | undefined;
  #newest = 0;

  constructor(options: HistoryOptions, stream: string) {
    this.#options = options;
    this.#stream = stream;
  }

  async run(): Promise<History> {
    this.#takeNames();
    for (const sequence of this.#checkpointNumbers()) await this.#takeCheckpoint(sequence);
    let known: KnownCommit | undefined;
    for (;;) {
      const { reached, failure } = await this.#follow(known);
      const next =
        failure === undefined || isGap(failure)
          ? [...this.#checkpoints.keys()].find((sequence) => sequence > reached)
          : undefined;
      const checkpoint = next === undefined ? undefined : this.#checkpoints.get(next)!;
      const leadsOn = checkpoint !== undefined && (await this.#standIn(checkpoint));
      if (failure !== undefined || this.#newest > reached)
        this.#tell(failure, reached, leadsOn ? checkpoint.sequence : undefined);
      if (!leadsOn) break;
      known = { sequence: checkpoint.sequence, hash: checkpoint.commitHash };
    }
    return {
      stream: this.#stream,
      header: this.#header,
      readable: this.#readable,
      broken: this.#broken,
      checkpoints: [...this.#checkpoints.keys()],
      badCheckpoints: [...this.#badCheckpoints],
      newest: this.#newest,
    };
  }

  #takeNames(): void {
    const { inventory } = this.#options;
    for (const key of inventory.keys(commitsPrefix(this.#stream))) {
      const sequence = sequenceOfCommit(this.#stream, key);
      if (sequence === undefined) continue;
      inventory.markNeeded(key);
      this.#newest = Math.max(this.#newest, sequence);
    }
  }

  #checkpointNumbers(): number[] {
    const { inventory } = this.#options;
    const found: number[] = [];
    for (const key of inventory.keys(checkpointsPrefix(this.#stream))) {
      const sequence = sequenceOfCheckpoint(this.#stream, key);
      if (sequence !== undefined) found.push(sequence);
    }
    return found.sort((a, b) => a - b);
  }

  async #takeCheckpoint(sequence: number): Promise<void> {
    const { chain, inventory, readsRows, run } = this.#options;
    inventory.markNeeded(checkpointKey(this.#stream, sequence));
    this.#newest = Math.max(this.#newest, sequence);
    try {
      const checkpoint = await chain.checkpoint(this.#stream, sequence, callOf(run));
      this.#header ??= checkpoint.header;
      const what = `the checkpoint of version ${sequence} of ${this.#name}`;
      const found: Finding[] = [];
      const areThere = await this.#partsAreThere(checkpoint, what, found);
      for (const { message } of found) this.#tellCheckpoint(sequence, message);
      if (!areThere) return;
      if (readsRows) await readAll(checkpoint);
      this.#checkpoints.set(sequence, checkpoint);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#tellCheckpoint(sequence, error.message);
    }
  }

  #tellCheckpoint(sequence: number, message: string): void {
    this.#badCheckpoints.add(sequence);
    const object = checkpointKey(this.#stream, sequence);
    this.#options.findings.add({ code: 'checkpoint.damaged', message, object });
  }

  /** Goes along the log as far as it leads. */
  async #follow(after: KnownCommit | undefined): Promise<{ reached: number; failure?: RrbackupError }> {
    const { chain, run } = this.#options;
    let reached = after?.sequence ?? 0;
    try {
      for await (const commit of chain.commits(this.#stream, after, callOf(run))) {
        reached = commit.header.sequence;
        this.#newest = Math.max(this.#newest, reached);
        await this.#takeCommit(commit);
      }
      return { reached };
    } catch (error) {
      if (!isDamage(error)) throw error;
      return { reached, failure: error };
    }
  }

  async #takeCommit(commit: Commit): Promise<void> {
    const { inventory, run } = this.#options;
    const { header, hash } = commit;
    const { sequence } = header;
    this.#header = header;
    inventory.markNeeded(commitKey(this.#stream, sequence));
    run.onProgress?.({
      phase: 'verify',
      files_done: 0,
      bytes_done: 0,
      current: `version ${sequence} of ${this.#name}`,
    });
    const checkpoint = this.#checkpoints.get(sequence);
    const found: Finding[] = [];
    const isWhole = await this.#isWhole(commit, found);
    if (!isWhole) this.#broken.add(sequence);
    else if (sequence === 1 || this.#readable.has(sequence - 1)) this.#readable.set(sequence, hash);
    if (!this.#readable.has(sequence) && checkpoint?.commitHash === hash) await this.#standIn(checkpoint);
    const isMended = !isWhole && this.#readable.has(sequence);
    for (const finding of found) this.#add(finding, isMended);
  }

  #add(finding: Finding, isMended: boolean): void {
    const { findings } = this.#options;
    if (!isMended) findings.add(finding);
    else findings.addMended({ ...finding, message: `${finding.message}; a checkpoint stands in` });
  }

  /** Whether the entry's rows and packs are there, with all packs that it names in the ledger. */
  async #isWhole(commit: Commit, found: Finding[]): Promise<boolean> {
    const { packs, readsRows } = this.#options;
    const what = `version ${commit.header.sequence} of ${this.#name}`;
    if (!(await this.#partsAreThere(commit, what, found))) return false;
    try {
      for await (const info of commit.storedPacks!()) await packs.add(info);
      if (readsRows) await readRows(commit);
      return true;
    } catch (error) {
      if (!isDamage(error)) throw error;
      found.push({ code: 'part.damaged', message: error.message });
      return false;
    }
  }

  /** A checkpoint in the place of a version's log entry, or of those before it. */
  async #standIn(checkpoint: Checkpoint): Promise<boolean> {
    const { findings, packs } = this.#options;
    const { sequence, commitHash } = checkpoint;
    try {
      for await (const info of checkpoint.storedPacks!()) await packs.add(info);
    } catch (error) {
      if (!isDamage(error)) throw error;
      findings.add({ code: 'part.damaged', message: error.message });
      this.#checkpoints.delete(sequence);
      return false;
    }
    this.#readable.set(sequence, commitHash);
    return true;
  }

  async #partsAreThere({ parts }: Commit | Checkpoint, what: string, found: Finding[]): Promise<boolean> {
    const { inventory } = this.#options;
    let areThere = true;
    for (const { hash, versionId, size_bytes } of parts) {
      const object = partKey(this.#stream, hash);
      const look = await inventory.look({ key: object, versionId, size_bytes });
      // What is longer begins with what it should be, as far as can be seen without reading it.
      if (look.state === 'missing' || look.state === 'shorter') areThere = false;
      if (look.state === 'missing')
        found.push({ code: 'part.missing', message: `${what} lacks its part ${hash}`, object });
      else if (look.state !== 'there')
        found.push({
          code: 'part.damaged',
          message: `part ${hash} of ${what} ${otherSize(look, size_bytes)}`,
          object,
        });
    }
    return areThere;
  }

  /**
   * What keeps the log from going on behind `reached`: a failure, or where that is undefined its end, behind which there are
   * checkpoints. `next`: the version from which a checkpoint leads on.
   */
  #tell(failure: RrbackupError | undefined, reached: number, next: number | undefined): void {
    const object = commitKey(this.#stream, reached + 1);
    const isMended = next === reached + 1;
    if (failure !== undefined) {
      this.#add({ code: codeOf(failure), message: `${this.#name}: ${failure.message}`, object }, isMended);
      return;
    }
    const last = next ?? this.#newest;
    const which = last === reached + 1 ? `version ${last}` : `versions ${reached + 1} to ${last}`;
    const message = `the manifest of ${which} is missing at the end of ${this.#name}`;
    this.#add({ code: 'commit.missing', message, object }, isMended);
  }

  get #name(): string {
    return this.#header === undefined
      ? `stream ${this.#stream}`
      : `'${this.#header.source}' of ${this.#header.host}`;
  }
}

function codeOf({ code }: RrbackupError): FindingCode {
  switch (code) {
    case 'manifest.missing_commit':
      return 'commit.missing';
    case 'manifest.forked':
      return 'history.forked';
    case 'manifest.rolled_back':
      return 'history.rolled_back';
    default:
      return 'commit.damaged';
  }
}

async function readRows(of: Commit | Checkpoint): Promise<void> {
  // What is wrong with a row is thrown where it is decoded.
  for await (const _ of of.storedRows?.(shape) ?? of.rows()) void _;
}

async function readAll(checkpoint: Checkpoint): Promise<void> {
  for await (const _ of checkpoint.storedPacks!()) void _;
  await readRows(checkpoint);
}

/** What is wrong with stored bytes; everything else keeps the check from going on. */
export function isDamage(error: unknown): error is RrbackupError {
  return (
    error instanceof RrbackupError &&
    (error.kind === 'damaged' || error.kind === 'tampered' || error.code === 'manifest.no_checkpoint')
  );
}

/**
 * The history as the check has found it, for a catalog that is made of it: nothing is asked for that is known to be damaged,
 * which a store with a patient line would try for minutes.
 */
export function chainOf(
  chain: ChainReader,
  histories: ReadonlyMap<string, History>,
): Pick<ChainReader, 'streams' | 'commits' | 'checkpoints' | 'checkpoint'> {
  return {
    streams: () => Promise.resolve([...histories.keys()]),
    async *commits(stream, after, call) {
      const { broken, newest } = histories.get(stream)!;
      for await (const commit of chain.commits(stream, after, call)) {
        const { sequence } = commit.header;
        if (sequence > newest) return;
        if (broken.has(sequence)) throw damaged('manifest.damaged', `version ${sequence} is not whole`);
        yield commit;
      }
    },
    checkpoints: (stream, from = 1) =>
      Promise.resolve(histories.get(stream)!.checkpoints.filter((sequence) => sequence >= from)),
    checkpoint: (stream, sequence, call) => chain.checkpoint(stream, sequence, call),
  };
}
