// A simulation of whole repositories: machines with real sources, catalogs and memories back up, restore, crash, forget, are
// put back to an old image and recover, while the seed decides what the store does to their calls. After every step the store
// is read from its start and held against the model.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { loadZstd } from '../../lib/compression/index.js';
import { cryptoReady, deriveKeys, publicSecret } from '../../lib/crypto/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { type BackupResult, check, type Repository } from '../../lib/index.js';
import { descriptorKey, parseDescriptor } from '../../lib/keys/index.js';
import { ChainReader } from '../../lib/manifest/chain.js';
import { describeTree } from '../trees.js';
import { drawKeysFrom } from './chance-here.js';
import { Finding } from './finding.js';
import { Crash } from './line.js';
import { Machine } from './machine.js';
import { describeSource, edit, type Lines, StoreReader, type StreamState } from './model.js';
import { Random } from './random.js';
import { drawWeather, fair, World } from './world.js';

/** A run of a backup, and what a version of it would hold. */
interface Run {
  readonly stream: string;
  readonly lines: Lines;
  /** As test/trees.ts describes it. */
  readonly tree: readonly string[];
}

/** What a backup said. */
interface Claim {
  readonly run: Run;
  readonly sequence: number;
}

interface Version {
  readonly hash: string;
  readonly run: string;
  readonly lines: Lines;
  readonly tree: readonly string[];
}

export interface Outcome {
  readonly versions: number;
  readonly steps: number;
  readonly crashes: number;
  readonly trace: readonly string[];
  /** The steps, and what went wrong in them. */
  readonly story: readonly string[];
}

/** Runs one schedule. Throws a Finding. */
export async function simulateRepository(seed: number): Promise<Outcome> {
  drawKeysFrom(seed);
  const directory = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'rrbackup-test-'));
  try {
    return await new Schedule(seed, directory).run();
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

const maximumMachines = 3;
const maximumSteps = 10;
/** A run of so little makes no more packs than this. */
const packsPerAttempt = 2;
/** That a backup may lose before it gives up. */
const racesPerBackup = 5;

class Schedule {
  readonly #random: Random;
  readonly #world: World;
  readonly #machines: Machine[];
  /** Looks at the store from outside, in fair weather. */
  readonly #observer: Machine;
  readonly #reader = new StoreReader();
  readonly #versions = new Map<string, Version[]>();
  #claims: Claim[] = [];
  /** Runs that have not become a version; they may still, when somebody recovers what they left. */
  #unfinished: Run[] = [];
  readonly #images = new Map<Machine, string[]>();
  #crashes = 0;
  /** Streams whose newest version does not show yet. */
  readonly #undecided = new Set<string>();
  /** Attempts of runs that cannot have become a version, or need not. */
  #spoilt = 0;

  constructor(seed: number, directory: string) {
    const random = new Random(seed);
    this.#random = random;
    const weather = drawWeather(random);
    this.#world = new World(seed ^ 0x5eed, { ignoresIfNoneMatch: random.chance(0.3), weather });
    const sharesStream = random.chance(0.5);
    const make = (name: string, index: number): Machine =>
      new Machine(this.#world, path.join(directory, name), {
        name,
        host: sharesStream ? 'host' : `host-${index % 2}`,
        sourceName: 'home',
        patience_ms: random.pick([0, 10_000, 300_000]),
      });
    this.#machines = Array.from({ length: 1 + random.below(maximumMachines) }, (_, index) =>
      make(`m${index}`, index),
    );
    this.#observer = make('observer', 99);
  }

  async run(): Promise<Outcome> {
    try {
      return await this.#run();
    } catch (error) {
      if (error instanceof Finding) error.trace = this.#world.trace;
      throw error;
    }
  }

  async #run(): Promise<Outcome> {
    const steps = 2 + this.#random.below(maximumSteps);
    for (let step = 0; step < steps; step++) {
      await this.#step();
      await this.#check();
    }
    await this.#finish();
    const versions = [...this.#versions.values()].reduce((sum, some) => sum + some.length, 0);
    const { trace } = this.#world;
    const story = trace.filter((line) => / (met|dies)|^step/.test(line));
    return { versions, steps, crashes: this.#crashes, trace, story };
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const machine = random.pick(this.#machines);
    const kind = random.below(12);
    this.#world.note(`step ${kind} of ${machine.options.name}`);
    switch (kind) {
      case 0:
        return this.#world.clock.jump(random);
      case 1:
        return machine.forget(random.pick(['state', 'cache']));
      case 2:
        this.#images.set(machine, [...(this.#images.get(machine) ?? []), machine.image()]);
        return;
      case 3: {
        const images = this.#images.get(machine) ?? [];
        if (images.length > 0) machine.putBack(random.pick(images));
        return;
      }
      case 4:
        return this.#restore(machine);
      case 5:
      case 6:
        // Where no create is conditional, a repository is made by one machine, which may die over it.
        if (!this.#world.createsConditionally && !(await hasDescriptor(this.#world.store)))
          return this.#backUp(machine);
        this.#spoilt += this.#machines.length * racesPerBackup;
        await Promise.all(this.#machines.map((each) => this.#backUp(each)));
        return;
      default:
        return this.#backUp(machine);
    }
  }

  async #backUp(machine: Machine): Promise<void> {
    const random = this.#random;
    edit(random, machine.source.path, random.below(5));
    if (random.chance(0.3)) machine.crashNext(1 + random.below(20), random.chance(0.5));
    let run: Run | undefined;
    try {
      const result = await machine.run({ sources: [machine.source.name] }, async (repository) => {
        run = this.#begin(machine, repository);
        return machine.backUpIn(repository);
      });
      this.#end(run!, result);
    } catch (error) {
      await this.#failed(machine, error);
    }
  }

  #begin(machine: Machine, repository: Repository): Run {
    const { name, path: root } = machine.source;
    const lines = describeSource(repository.context, root);
    const run = { stream: repository.streamId(name), lines, tree: describeTree(root) };
    this.#unfinished.push(run);
    return run;
  }

  /** What was said to be committed is looked for at the next check. */
  #end(run: Run, { version, newest }: BackupResult): void {
    this.#unfinished = this.#unfinished.filter((other) => other !== run);
    this.#claims.push({ run, sequence: version ?? newest });
  }

  async #failed(machine: Machine, error: unknown): Promise<void> {
    this.#world.note(
      `${machine.options.name} met ${error instanceof RrbackupError ? error.code : String(error)}`,
    );
    this.#spoilt++;
    if (error instanceof Crash || this.#hasCrashed(error)) {
      this.#crashes++;
      return;
    }
    if (!(error instanceof RrbackupError))
      throw new Finding(`${machine.options.name}: ${String(error)}`, error);
    if (error.kind === 'store' || error.code === 'manifest.lost_race') return;
    // Somebody's last pack is there without its commit, and this machine does not know whose: the way out is to recover it.
    if (error.code === 'backup.history_gone') return this.#recover(machine);
    if (!this.#world.createsConditionally && error.code === 'manifest.undecided') return;
    if (this.#isFalseAlarm(error)) return this.#adopt(machine);
    // A machine that has crashed before it could remember the repository that it made.
    throw new Finding(`${machine.options.name} met ${error.code}: ${error.message}`, error);
  }

  #hasCrashed(error: unknown): boolean {
    return error instanceof Error && error.cause instanceof Crash;
  }

  async #recover(machine: Machine): Promise<void> {
    const { weather } = this.#world;
    this.#world.weather = fair;
    await this.#world.settle();
    try {
      await machine.recover();
    } catch (error) {
      // Somebody else has just committed what it was about to.
      if (!(error instanceof RrbackupError) || error.code !== 'manifest.lost_race')
        throw new Finding(`recover met ${String(error)}`, error);
    } finally {
      this.#world.weather = weather;
    }
  }

  /** Where creates race somebody may see what is withdrawn later. */
  #isFalseAlarm(error: RrbackupError): boolean {
    const codes = ['repository.forked', 'repository.rolled_back'];
    return !this.#world.createsConditionally && codes.includes(error.code);
  }

  async #adopt(machine: Machine): Promise<void> {
    const { weather } = this.#world;
    this.#world.weather = fair;
    await machine.adopt();
    this.#world.weather = weather;
  }

  /** Any version, by way of the product, on a machine with whatever memory it has. */
  async #restore(machine: Machine): Promise<void> {
    try {
      await machine.run({ create: 'never', access: 'read' }, async (repository) => {
        const streams = repository.catalog.streams();
        if (streams.length === 0) return;
        const { id, head } = this.#random.pick(streams);
        const sequence = 1 + this.#random.below(head);
        const tree = await machine.restored(repository, id, sequence);
        this.#compare(id, sequence, tree);
      });
    } catch (error) {
      if (error instanceof Finding) throw error;
      if (error instanceof RrbackupError && (error.kind === 'store' || error.kind === 'no_repository'))
        return;
      if (error instanceof RrbackupError && this.#isFalseAlarm(error)) return this.#adopt(machine);
      throw new Finding(`a restore met ${String(error)}`, error);
    }
  }

  #compare(stream: string, sequence: number, tree: readonly string[]): void {
    const expected = this.#versions.get(stream)?.[sequence - 1];
    if (expected === undefined) throw new Finding(`there is a version ${sequence} that nobody made`);
    if (expected.tree.join('\n') !== tree.join('\n'))
      throw new Finding(
        `version ${sequence} came back as\n${tree.join('\n')}\ninstead of\n${expected.tree.join('\n')}`,
      );
  }

  /** Reads the store from its start, in fair weather. */
  async #check(): Promise<void> {
    await this.#world.settle();
    const { weather, store } = this.#world;
    const context = await contextOf(store);
    if (context === undefined) return;
    this.#world.weather = fair;
    this.#undecided.clear();
    try {
      const chain = new ChainReader(context, this.#world.clock);
      for (const stream of await chain.streams())
        this.#take(stream, await this.#reader.stream(context, chain, stream));
    } catch (error) {
      if (error instanceof Finding) throw error;
      throw new Finding(`the store cannot be read: ${String(error)}`, error);
    } finally {
      this.#world.weather = weather;
    }
    this.#checkClaims();
    await this.#checkGarbage();
  }

  /** Versions stay what they were; what is new is somebody's run, whole, and nobody's twice. */
  #take(stream: string, { versions, isUndecided }: StreamState): void {
    if (isUndecided) this.#undecided.add(stream);
    const known = this.#versions.get(stream) ?? [];
    for (const [index, version] of known.entries())
      if (versions[index]?.hash !== version.hash)
        throw new Finding(`version ${index + 1} of ${stream} is gone or another one`);
    for (const version of versions.slice(known.length)) {
      const text = version.lines.join('\n');
      const runs = [...this.#claims.map(({ run }) => run), ...this.#unfinished];
      const run = runs.find((other) => other.stream === stream && other.lines.join('\n') === text);
      if (run === undefined)
        throw new Finding(`version ${known.length + 1} holds what no run has seen:\n${text}`);
      if (known.some((other) => other.run === version.run)) throw new Finding('one run is two versions');
      known.push({ ...version, tree: run.tree });
    }
    this.#versions.set(stream, known);
  }

  #checkClaims(): void {
    const open: Claim[] = [];
    for (const claim of this.#claims) {
      const { run, sequence } = claim;
      const versions = this.#versions.get(run.stream) ?? [];
      const version = versions[sequence - 1];
      if (sequence > versions.length && this.#undecided.has(run.stream)) open.push(claim);
      else if (version?.lines.join('\n') !== run.lines.join('\n'))
        throw new Finding(`a backup said that version ${sequence} is what it saw; it is not`);
    }
    this.#claims = open;
  }

  /** What nobody refers to comes from runs that did not get to their end. */
  async #checkGarbage(): Promise<void> {
    const packs = new Set<string>();
    for await (const { key } of this.#world.store.list('packs/')) packs.add(key);
    const garbage = packs.size - this.#reader.referenced;
    if (garbage > this.#spoilt * packsPerAttempt)
      throw new Finding(`${garbage} packs are garbage after ${this.#spoilt} attempts in vain`);
  }

  /** In fair weather, everybody backs up once more, and a new machine gets every version back. */
  async #finish(): Promise<void> {
    this.#world.weather = fair;
    for (const machine of this.#machines) {
      await this.#backUp(machine);
      await this.#check();
    }
    // Whoever knows which of two entries counts has gone on from it by now. Where nobody does, a person decides.
    if (this.#undecided.size > 0) {
      await this.#recover(this.#machines[0]!);
      for (const machine of this.#machines) await this.#backUp(machine);
      await this.#check();
    }
    if (!(await hasDescriptor(this.#world.store))) return;
    this.#observer.forget('state');
    this.#observer.forget('cache');
    await this.#observer.run({ create: 'never', access: 'read', sync: false }, async (repository) => {
      const { verdict, findings } = await check(repository);
      if (verdict !== 'fine') throw new Finding(`check says ${findings[0]?.message}`);
    });
    await this.#observer.run({ create: 'never', access: 'read' }, async (repository) => {
      for (const { id, head } of repository.catalog.streams())
        for (let sequence = 1; sequence <= head; sequence++)
          this.#compare(id, sequence, await this.#observer.restored(repository, id, sequence));
    });
  }
}

async function hasDescriptor(store: World['store']): Promise<boolean> {
  return (await store.stat(descriptorKey)) !== undefined;
}

/** Without a catalog, and without a machine that would keep one. Undefined before there is a repository. */
async function contextOf(store: World['store']): Promise<Repository['context'] | undefined> {
  if (!(await hasDescriptor(store))) return undefined;
  const { repository: repositoryId } = parseDescriptor(await store.get(descriptorKey));
  await cryptoReady();
  return { store, repositoryId, keys: deriveKeys(publicSecret(repositoryId)), zstd: await loadZstd() };
}
