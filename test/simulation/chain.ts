// A simulation of the manifest alone: several writers of one stream commit at once, each call to the store at the mercy of the
// seed, and readers look on. So cheap that thousands of schedules run in seconds. What the writers do around a commit is what
// lib/backup does: read the history, publish, and after an error that may have been a success look whose version it is.

import { cryptoReady, deriveKeys } from '../../lib/crypto/index.js';
import { loadZstd } from '../../lib/compression/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { ChainReader, type KnownCommit } from '../../lib/manifest/chain.js';
import { CommitWriter } from '../../lib/manifest/commit.js';
import type { PackContext } from '../../lib/pack/encode.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { added, headerOf, stream } from '../manifest/fixture.js';
import { Finding } from './finding.js';
import { Crash, Line } from './line.js';
import { Random } from './random.js';
import { drawWeather, World } from './world.js';

const attempts = 5;

await cryptoReady();
const context: PackContext = {
  keys: deriveKeys(Buffer.alloc(32, 7)),
  repositoryId: '00112233445566778899aabbccddeeff',
  zstd: await loadZstd(),
};

/** One commit that somebody wants to make. */
interface Intent {
  /** Names it for good: the one path of its version. */
  readonly name: string;
  /** What was acknowledged. */
  done?: { readonly sequence: number; readonly hash: string };
}

interface Seen {
  readonly sequence: number;
  readonly hash: string;
  readonly run: string;
}

class Writer {
  readonly #world: World;
  readonly #patience_ms: number;
  readonly name: string;
  #line!: Line;
  #store!: ObjectStore;
  known: KnownCommit | undefined;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.#patience_ms = world.random.pick([0, 0, 5_000, 300_000]);
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

  /** Brings what it knows up to date; returns what is new. */
  async look(): Promise<Seen[]> {
    const seen: Seen[] = [];
    const chain = new ChainReader({ ...context, store: this.#store });
    for await (const { hash, header, versionId } of chain.commits(stream, this.known)) {
      seen.push({ sequence: header.sequence, hash, run: header.run });
      this.known = { sequence: header.sequence, hash, versionId };
    }
    return seen;
  }

  async commit(intent: Intent): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await this.look();
      const { sequence, hash } = this.known ?? { sequence: 0, hash: '' };
      const run = runOf(intent.name, attempt);
      const { clock } = this.#world;
      const writer = new CommitWriter({ ...context, store: this.#store, stream, clock });
      await writer.addRow(added(intent.name));
      try {
        const published = await writer.publish(headerOf(sequence + 1, hash, { run, parentRun: '' }));
        intent.done = { sequence: sequence + 1, hash: published.hash };
        return;
      } catch (error) {
        const seen = await this.look().catch(() => []);
        const own = seen.find((version) => version.sequence === sequence + 1 && version.run === run);
        if (own !== undefined) {
          intent.done = own;
          return;
        }
        const lostRace = error instanceof RrbackupError && error.code === 'manifest.lost_race';
        if (!lostRace || attempt === attempts) throw error;
      }
    }
  }
}

/** 32 hex digits. */
const runOf = (name: string, attempt: number): string =>
  Buffer.from(`${name}.${attempt}`).toString('hex').padEnd(32, '0').slice(0, 32);

/** What may come of an attempt: the store's trouble, a race lost too often, or the end of the process. */
function isTrouble(error: unknown): boolean {
  if (error instanceof Crash) return true;
  return error instanceof RrbackupError && (error.kind === 'store' || error.code === 'manifest.lost_race');
}

export interface ChainOptions {
  /** How many writers at the most. */
  readonly writers?: number;
}

export interface ChainResult {
  readonly commits: number;
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
  for (let round = 0; round < rounds; round++) {
    // Where no create is conditional, a stream has one writer at a time, and any number of readers.
    const writing = random.below(machines.length);
    await Promise.all(
      machines.map(async (writer, index) => {
        const mayWrite = world.createsConditionally || index === writing;
        if (!mayWrite || random.chance(0.2)) return attempt(() => writer.look());
        const intent: Intent = { name: `${round}-${index}` };
        intents.push(intent);
        if (random.chance(0.3)) writer.crashAt(1 + random.below(12), random.chance(0.5));
        return attempt(() => writer.commit(intent));
      }),
    );
    await world.settle();
    await checkChain(world, machines, intents);
    for (const writer of machines) if (writer.isDead) writer.restart();
  }
  return {
    commits: intents.filter(({ done }) => done).length,
    calls: world.trace.length,
    trace: world.trace,
  };
}

async function attempt(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!isTrouble(error)) throw new Finding(`a writer met ${String((error as Error).stack)}`, error);
  }
}

/** What was acknowledged stands where it was, once; nothing stands twice; nobody's memory is wrong. */
async function checkChain(
  world: World,
  writers: readonly Writer[],
  intents: readonly Intent[],
): Promise<void> {
  const names = new Map<string, Seen>();
  const hashes = new Map<number, string>();
  try {
    const chain = new ChainReader({ ...context, store: world.store });
    for await (const commit of chain.commits(stream)) {
      const { sequence, run } = commit.header;
      hashes.set(sequence, commit.hash);
      for await (const { path } of commit.rows()) {
        const name = Buffer.from(path).toString();
        if (names.has(name)) throw new Finding(`${name} is committed twice`);
        names.set(name, { sequence, hash: commit.hash, run });
      }
    }
  } catch (error) {
    if (error instanceof Finding) throw error;
    throw new Finding(`the history cannot be read: ${String(error)}`, error);
  }
  for (const { name, done } of intents) {
    const found = names.get(name);
    if (done === undefined) continue;
    if (found?.sequence !== done.sequence || found.hash !== done.hash)
      throw new Finding(`${name} was acknowledged as version ${done.sequence}, which is another one now`);
  }
  for (const { name, known } of writers)
    if (known !== undefined && hashes.get(known.sequence) !== known.hash)
      throw new Finding(`${name} has seen a version ${known.sequence} that is no more`);
}
