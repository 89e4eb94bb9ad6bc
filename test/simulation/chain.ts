// A simulation of the manifest alone: several writers of one stream commit at once, each call to the store at the mercy of the
// seed, and readers look on. So cheap that thousands of schedules run in seconds. What the writers do around a commit is what
// lib/backup does: read the history, publish, and after an error that may have been a success look whose version it is.

import { cryptoReady, deriveKeys, sha256 } from '../../lib/crypto/index.js';
import type { Clock } from '../../lib/clock.js';
import type { Zstd } from '../../lib/compression/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { ChainReader, type KnownCommit } from '../../lib/manifest/chain.js';
import { CommitWriter } from '../../lib/manifest/commit.js';
import { commitKey } from '../../lib/manifest/names.js';
import type { PackContext } from '../../lib/pack/encode.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { added, headerOf, stream } from '../manifest/fixture.js';
import { Finding } from './finding.js';
import { Crash, Line } from './line.js';
import { Random } from './random.js';
import { drawWeather, World } from './world.js';

const attempts = 5;

/** Of what is so small nothing is compressed in the end; here it is not even tried. */
const zstd: Zstd = {
  name: 'node:zlib',
  compress: (plain) => Buffer.from(plain),
  decompress: () => {
    throw new Error('nothing is compressed');
  },
};

await cryptoReady();
const context: PackContext = {
  keys: deriveKeys(Buffer.alloc(32, 7)),
  repositoryId: '00112233445566778899aabbccddeeff',
  zstd,
};

/** One commit that somebody wants to make. */
interface Intent {
  /** Names it for good: the one path of its version. */
  readonly name: string;
  /** What was acknowledged. */
  done: Seen | undefined;
}

interface Seen {
  readonly sequence: number;
  readonly hash: string;
}

const tenYears_ns = 3650n * 24n * 3600n * 10n ** 9n;

class Writer {
  readonly #world: World;
  /** May be years off. */
  readonly #clock: Clock;
  readonly #patience_ms: number;
  readonly name: string;
  #line!: Line;
  #store!: ObjectStore;
  known: KnownCommit | undefined;
  /** By run. */
  readonly #seen = new Map<string, Seen>();

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.#patience_ms = world.random.pick([0, 0, 5_000, 300_000]);
    const { clock } = world;
    const off_ns = world.random.pick([0n, 0n, tenYears_ns, -tenYears_ns]);
    this.#clock = {
      now_ns: () => clock.now_ns() + off_ns,
      monotonic_ms: () => clock.monotonic_ms(),
      pause: clock.pause,
    };
    this.restart();
  }

  /** After a crash, with what it knew before. */
  restart(): void {
    this.#line = new Line(this.#world, this.name);
    this.#store = Line.withRetries(this.#world, this.#line, this.#patience_ms);
  }

  crashAt(calls: number, isAfter: boolean): void {
    this.#line.crashAt(calls, isAfter, () => undefined);
  }

  get isDead(): boolean {
    return this.#line.isDead;
  }

  /** Brings what it knows up to date. */
  async look(store = this.#store): Promise<void> {
    const chain = new ChainReader({ ...context, store }, this.#clock);
    for await (const { hash, header, versionId } of chain.commits(stream, this.known)) {
      this.#seen.set(header.run, { sequence: header.sequence, hash });
      this.known = { sequence: header.sequence, hash, versionId };
    }
  }

  /** What a person does after an alarm that is understood. */
  adopt(): void {
    this.known = undefined;
    this.#seen.clear();
  }

  async commit(intent: Intent): Promise<void> {
    const runs: string[] = [];
    for (;;) {
      await this.look();
      // What was given up for lost may have come late.
      intent.done = runs.map((run) => this.#seen.get(run)).find((own) => own !== undefined);
      if (intent.done !== undefined) return;
      const { sequence, hash, versionId = '' } = this.known ?? { sequence: 0, hash: '' };
      const run = runOf(intent.name, runs.length + 1);
      runs.push(run);
      const writer = new CommitWriter({ ...context, store: this.#store, stream, clock: this.#clock });
      await writer.addRow(added(intent.name));
      try {
        const header = { run, parentRun: '', parentVersionId: versionId };
        const published = await writer.publish(headerOf(sequence + 1, hash, header));
        intent.done = { sequence: sequence + 1, hash: published.hash };
        return;
      } catch (error) {
        await this.look().catch(() => undefined);
        intent.done = this.#seen.get(run);
        if (intent.done !== undefined) return;
        const lostRace = error instanceof RrbackupError && error.code === 'manifest.lost_race';
        if (!lostRace || runs.length === attempts) throw error;
      }
    }
  }
}

/** 32 hex digits. */
const runOf = (name: string, attempt: number): string =>
  Buffer.from(`${name}.${attempt}`).toString('hex').padEnd(32, '0').slice(0, 32);

/** What whoever looks may meet where nothing but withdrawing keeps writers apart; it must never mean that something is lost. */
const alarms = ['manifest.undecided', 'manifest.forked', 'manifest.rolled_back', 'manifest.missing_commit'];

const isAlarm = (error: unknown): boolean => error instanceof RrbackupError && alarms.includes(error.code);

/** What may come of an attempt: the store's trouble, a race lost too often, or the end of the process. */
function isTrouble(error: unknown, { createsConditionally }: World): boolean {
  if (error instanceof Crash || (!createsConditionally && isAlarm(error))) return true;
  return error instanceof RrbackupError && (error.kind === 'store' || error.code === 'manifest.lost_race');
}

export interface ChainOptions {
  /** How many writers at the most. */
  readonly writers?: number;
}

export interface ChainResult {
  readonly commits: number;
  /** False ones: where creates race somebody may see what is withdrawn later. */
  readonly alarms: number;
  readonly calls: number;
  readonly trace: readonly string[];
}

/** Runs one schedule. Throws a Finding. */
export async function simulateChain(seed: number, { writers = 5 }: ChainOptions = {}): Promise<ChainResult> {
  const random = new Random(seed);
  const ignoresIfNoneMatch = random.chance(0.3);
  const world = new World(seed ^ 0x5eed, { ignoresIfNoneMatch, weather: drawWeather(random), isPure: true });
  world.store.conditionalCreate = !ignoresIfNoneMatch;
  // Most are short: what goes wrong goes wrong between two or three.
  const isLong = random.chance(0.1);
  const length = 1 + random.below(isLong ? writers : 3);
  const machines = Array.from({ length }, (_, index) => new Writer(world, `w${index}`));
  const intents: Intent[] = [];
  const rounds = 1 + random.below(isLong ? 4 : 2);
  let alarms = 0;
  for (let round = 0; round < rounds; round++) {
    await Promise.all(
      machines.map(async (writer, index) => {
        if (random.chance(0.2)) return attempt(world, () => writer.look());
        const intent: Intent = { name: `${round}-${index}`, done: undefined };
        intents.push(intent);
        if (random.chance(0.3)) writer.crashAt(1 + random.below(12), random.chance(0.5));
        return attempt(world, () => writer.commit(intent));
      }),
    );
    await world.settle();
    const checked = await checkChain(world, machines, intents);
    alarms += checked.alarms;
    if (checked.hasGap) break;
    for (const writer of machines) if (writer.isDead) writer.restart();
  }
  return {
    commits: intents.filter(({ done }) => done).length,
    alarms,
    calls: world.trace.length,
    trace: world.trace,
  };
}

async function attempt(world: World, act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!isTrouble(error, world)) throw new Finding(`a writer met ${String((error as Error).stack)}`, error);
  }
}

/** What was acknowledged stands where it was, once; nothing stands twice; whose memory is wrong is told. */
async function checkChain(
  world: World,
  writers: readonly Writer[],
  intents: readonly Intent[],
): Promise<{ alarms: number; hasGap: boolean }> {
  const someDied = writers.some(({ isDead }) => isDead);
  const { found, hashes, hasGap } = await readAll(world, intents, someDied);
  for (const { name, done } of intents) {
    if (done === undefined) continue;
    const { sequence, hash } = found.get(name) ?? {};
    const isBehindGap = hasGap && done.sequence > hashes.size && (await stands(world, done));
    if (!isBehindGap && (done.sequence !== sequence || done.hash !== hash))
      throw new Finding(`${name} was acknowledged as version ${done.sequence}, which is another one now`);
  }
  let alarms = 0;
  for (const writer of writers) {
    const { name, known } = writer;
    if (known === undefined || hashes.get(known.sequence) === known.hash) continue;
    const alarm = await writer.look(world.store).catch((error: unknown) => error);
    const isWarned = alarm !== undefined || !hashes.has(known.sequence);
    if (world.createsConditionally || !isWarned)
      throw new Finding(`${name} has seen a version ${known.sequence} that is no more`);
    if (alarm === undefined) continue;
    if (!isAlarm(alarm)) throw alarm;
    writer.adopt();
    alarms++;
  }
  return { alarms, hasGap };
}

/** Whether its entry is stored: what is behind a gap `rrbackup recover` makes readable. */
async function stands({ store }: World, { sequence, hash }: Seen): Promise<boolean> {
  for await (const { key, versionId } of store.list(commitKey(stream, sequence)))
    if (sha256(await store.get(key, { versionId })).toString('hex') === hash) return true;
  return false;
}

interface History {
  readonly found: Map<string, Seen>;
  /** By version. */
  readonly hashes: Map<number, string>;
  /** Somebody has died after it had withdrawn an entry and before it put it back for who had built upon it. */
  readonly hasGap: boolean;
}

/** From its start: the names that were committed, and as which version. */
async function readAll(world: World, intents: readonly Intent[], someDied: boolean): Promise<History> {
  const found = new Map<string, Seen>();
  const hashes = new Map<number, string>();
  const chain = new ChainReader({ ...context, store: world.store }, world.clock);
  for (;;) {
    const last = hashes.size;
    const known = last === 0 ? undefined : { sequence: last, hash: hashes.get(last)! };
    try {
      for await (const commit of chain.commits(stream, known)) {
        const { sequence } = commit.header;
        hashes.set(sequence, commit.hash);
        for await (const { path } of commit.rows()) {
          const name = Buffer.from(path).toString();
          if (found.has(name)) throw new Finding(`${name} is committed twice`);
          found.set(name, { sequence, hash: commit.hash });
        }
      }
      return { found, hashes, hasGap: false };
    } catch (error) {
      if (error instanceof Finding) throw error;
      const code = error instanceof RrbackupError ? error.code : undefined;
      const isGap = code === 'manifest.missing_commit' || code === 'manifest.forked';
      if (isGap && someDied && !world.createsConditionally) return { found, hashes, hasGap: true };
      if (code !== 'manifest.undecided')
        throw new Finding(`the history cannot be read: ${String(error)}`, error);
      // Whoever was told of success knows which it is.
      const acknowledged = intents.find(({ done }) => done?.sequence === hashes.size + 1);
      if (acknowledged === undefined) return { found, hashes, hasGap: false };
      found.set(acknowledged.name, acknowledged.done!);
      hashes.set(hashes.size + 1, acknowledged.done!.hash);
    }
  }
}
