// Rounds of a backup that is ended by force: each changes the source, starts the real command, ends it at a random moment, and
// looks whether the versions before are whole, the next backup succeeds by itself, and nothing is stored twice.

import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from '../../lib/crypto/index.js';
import { packsPrefix } from '../../lib/pack/index.js';
import { openStore } from '../../lib/store/open.js';
import type { ObjectStore } from '../../lib/store/types.js';
import type { StoreConfiguration } from '../../lib/repository/types.js';
import { systemClock } from '../../lib/clock.js';
import { type Home, outcome, type Outcome } from '../e2e/cli.js';
import { describeTree } from '../trees.js';

/** What became of the run, and what is wrong afterwards: nothing, if all is well. */
export interface Round {
  /** 'ended': before its version stood; 'late': afterwards; 'done': by itself, before its end came. */
  readonly how: 'ended' | 'late' | 'done';
  readonly sentence: string;
  readonly wrong: readonly string[];
}

/** Ends a running backup, or breaks something below it; settles when all is as it was. `ended`: the process is gone. */
export type End = (backup: ReturnType<Home['start']>, ended: Promise<unknown>) => Promise<void> | void;

export const kill: End = (backup) => {
  backup.kill('SIGKILL');
};

/** Runs in the backup: SIGKILL soon after it has begun its journal, by its own event loop's pace. */
const killItself = `
  import fs from 'node:fs';
  for (const name of ['openSync', 'appendFileSync']) {
    const original = fs[name];
    fs[name] = (file, ...rest) => {
      if (/[.]journal/.test(file)) setTimeout(() => process.kill(process.pid, 'SIGKILL'), Math.random() ** 2 * 60);
      return original(file, ...rest);
    };
  }
`;

/** What a pack holds beside contents, and a chunk cut in two by a file's new end: none of it is contents stored twice. */
const slack_bytes = 1024 * 1024;
const smallFiles = 80;

export class Rounds {
  readonly #home: Home;
  readonly #store: StoreConfiguration;
  readonly #large_bytes: number;
  readonly #forgets: boolean;
  #duration_ms = 1000;
  #version = 0;
  #tree: string[] = [];

  /**
   * `forgets`: what is broken may take with it what was not on the disk yet, so that some packs are not known any more; a killed
   * process alone takes nothing with it.
   */
  constructor(
    home: Home,
    store: StoreConfiguration,
    { large_bytes, forgets = false }: { large_bytes: number; forgets?: boolean },
  ) {
    this.#home = home;
    this.#store = store;
    this.#large_bytes = large_bytes;
    this.#forgets = forgets;
  }

  get version(): number {
    return this.#version;
  }

  /** The first version. */
  async begin(): Promise<void> {
    this.#change();
    const begun_ms = systemClock.monotonic_ms();
    const { status, stderr } = await outcome(this.#home.start('backup', '-q'));
    this.#duration_ms = systemClock.monotonic_ms() - begun_ms;
    if (status !== 0) throw new Error(stderr);
    this.#version = 1;
    this.#tree = this.#described();
  }

  async one(end: End = kill): Promise<Round> {
    const wrong: string[] = [];
    const new_bytes = this.#change();
    const tree = this.#described();
    const before_bytes = await this.#stored_bytes();
    const { ended: run, after_ms, wasEnded } = await this.#ended(end);
    if (wasEnded && run.status !== null && run.status !== 0 && run.stderr === '')
      wrong.push(`it ended with ${run.status} and without a word`);

    const versions = JSON.parse(await this.#home.ok('versions', '--json')) as unknown[];
    const isThere = versions.length === this.#version + 1;
    if (!isThere && versions.length !== this.#version) wrong.push(`there are ${versions.length} versions`);
    if (run.status === 0 && !isThere) wrong.push('it told of success, but there is no version');
    wrong.push(...(await this.#compare(this.#version, this.#tree)));
    const left_bytes = (await this.#stored_bytes()) - before_bytes;

    const next = await this.#home.rr('backup');
    if (next.status !== 0) wrong.push(`the next backup ended with ${next.status}: ${next.stderr}`);
    wrong.push(...(await this.#check('--read-data=10%')));
    const stored_bytes = (await this.#stored_bytes()) - before_bytes;
    const isForgotten = this.#forgets && end !== kill;
    if (stored_bytes > new_bytes + slack_bytes + (isForgotten ? left_bytes : 0))
      wrong.push(
        `${stored_bytes} bytes were stored of ${new_bytes} new ones, ${left_bytes} of them before the end`,
      );
    this.#version++;
    this.#tree = tree;
    const how = !wasEnded ? 'done' : isThere ? 'late' : 'ended';
    const sentence = `${how} after ${Math.round(after_ms)} ms, ${left_bytes} bytes had been stored`;
    return { how, sentence, wrong };
  }

  /** Whether the newest version, too, is what it should be, and every byte of all of them. */
  async end(): Promise<string[]> {
    return [...(await this.#compare(this.#version, this.#tree)), ...(await this.#check('--read-data'))];
  }

  async #check(how: string): Promise<string[]> {
    const { status, stdout, stderr } = await this.#home.rr('check', how);
    return status === 0 ? [] : [`check ${how} ended with ${status}: ${stdout}${stderr}`];
  }

  async #ended(end: End): Promise<{ ended: Outcome; after_ms: number; wasEnded: boolean }> {
    const { environment } = this.#home;
    const begun_ms = systemClock.monotonic_ms();
    const after_ms = (): number => systemClock.monotonic_ms() - begun_ms;
    // Every other time when it matters most: from when on the first pack is sent.
    const isAtPack = end === kill && Math.random() < 0.5;
    if (isAtPack)
      environment['NODE_OPTIONS'] = `--import=data:text/javascript,${encodeURIComponent(killItself)}`;
    const backup = this.#home.start('backup');
    delete environment['NODE_OPTIONS'];
    const ended = outcome(backup);
    let ending: Promise<void> | undefined;
    const timer = setTimeout(
      () => {
        ending = Promise.resolve(end(backup, ended));
      },
      isAtPack ? 2 ** 30 : Math.random() * this.#duration_ms * 1.1,
    );
    const result = await ended;
    clearTimeout(timer);
    await ending;
    return { ended: result, after_ms: after_ms(), wasEnded: ending !== undefined || result.status === null };
  }

  /** New contents, as many as before; how many bytes of them. */
  #change(): number {
    const { at } = this.#home;
    let new_bytes = 0;
    const write = (name: string, size_bytes: number): void => {
      fs.mkdirSync(path.dirname(at('source', name)), { recursive: true });
      fs.writeFileSync(at('source', name), randomBytes(size_bytes));
      new_bytes += size_bytes;
    };
    for (let file = 0; file < smallFiles; file++)
      if (this.#version === 0 || Math.random() < 0.3)
        write(`small/${file % 7}/${file}`, Math.ceil(Math.random() * 9000));
    for (let file = 0; file < 4; file++) write(`large/${file}`, this.#large_bytes / 4);
    return new_bytes;
  }

  #described(): string[] {
    return describeTree(this.#home.at('source'));
  }

  async #compare(version: number, tree: readonly string[]): Promise<string[]> {
    const target = this.#home.at('restored');
    const { status, stderr } = await this.#home.rr('download', `${version}`, target, '-q');
    const restored = status === 0 ? describeTree(target) : [];
    fs.rmSync(target, { recursive: true, force: true });
    if (status !== 0) return [`version ${version} cannot be downloaded: ${stderr}`];
    const differing = tree.filter((line, index) => restored[index] !== line);
    return differing.length === 0 ? [] : [`version ${version} differs: ${differing.slice(0, 3).join('; ')}`];
  }

  /** All packs, so many bytes. */
  async #stored_bytes(): Promise<number> {
    const store: ObjectStore = await openStore(this.#store);
    let sum_bytes = 0;
    for await (const { size_bytes } of store.list(packsPrefix)) sum_bytes += size_bytes;
    await store.close();
    return sum_bytes;
  }
}
