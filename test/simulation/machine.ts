// One machine of a simulation: a source, what it remembers of the repository (state and catalog), and the commands that run on
// it. A crash leaves what was on its disk at that very moment; an older image of that disk may be put back.

import fs from 'node:fs';
import path from 'node:path';
import { backup, openRepositoryOn, recover, restore } from '../../lib/index.js';
import type { BackupResult, OpenOptions, Repository } from '../../lib/index.js';
import type { SourceConfiguration } from '../../lib/repository/types.js';
import { describeTree } from '../trees.js';
import { Line } from './line.js';
import type { World } from './world.js';

export interface MachineOptions {
  readonly name: string;
  readonly host: string;
  readonly sourceName: string;
  readonly patience_ms: number;
}

export class Machine {
  readonly #world: World;
  readonly #directory: string;
  readonly options: MachineOptions;
  readonly source: SourceConfiguration;
  #images = 0;
  #disk: string;
  #crash: { calls: number; isAfter: boolean } | undefined;

  /** `directory` is its own. */
  constructor(world: World, directory: string, options: MachineOptions) {
    this.#world = world;
    this.#directory = directory;
    this.options = options;
    this.#disk = path.join(directory, 'disk');
    fs.mkdirSync(path.join(directory, 'source'), { recursive: true });
    fs.mkdirSync(this.#disk);
    this.source = {
      name: options.sourceName,
      path: path.join(directory, 'source'),
      exclude: [],
      excludeFiles: [],
      oneFileSystem: false,
      excludeCaches: false,
    };
  }

  /** The next command dies at its `calls`-th call to the store. */
  crashNext(calls: number, isAfter: boolean): void {
    this.#crash = { calls, isAfter };
  }

  /** A copy of what it remembers, for `putBack`. */
  image(): string {
    const image = path.join(this.#directory, `image-${this.#images++}`);
    fs.cpSync(this.#disk, image, { recursive: true });
    return image;
  }

  /** Its disk is as it was when the image was taken. The image stays as it is. */
  putBack(image: string): void {
    this.#disk = image;
    this.#disk = this.image();
  }

  forget(what: 'state' | 'cache'): void {
    fs.rmSync(path.join(this.#disk, what), { recursive: true, force: true });
  }

  /** Opens the repository, acts, and closes it; after a crash its disk is as it was then. */
  async run<T>(options: Partial<OpenOptions>, act: (repository: Repository) => Promise<T>): Promise<T> {
    const line = new Line(this.#world, this.options.name);
    let image: string | undefined;
    if (this.#crash !== undefined)
      line.crashAt(this.#crash.calls, this.#crash.isAfter, () => (image = this.image()));
    this.#crash = undefined;
    try {
      return await this.#runOn(line, options, act);
    } finally {
      if (image !== undefined) this.#disk = image;
    }
  }

  async #runOn<T>(
    line: Line,
    options: Partial<OpenOptions>,
    act: (repository: Repository) => Promise<T>,
  ): Promise<T> {
    const repository = await openRepositoryOn(
      Line.withRetries(this.#world, line, this.options.patience_ms),
      {
        encryption: 'none',
        password: () => Promise.reject(new Error('no password is needed')),
        commitLocked: false,
        host: this.options.host,
        catalogPath: undefined,
        stateDirectory: path.join(this.#disk, 'state'),
        cacheDirectory: path.join(this.#disk, 'cache'),
        cacheSize_bytes: 0,
      },
      { access: 'write', create: 'if-new', clock: this.#world.clock, note: () => undefined, ...options },
    );
    try {
      return await act(repository);
    } finally {
      await repository.close();
    }
  }

  backUpIn(repository: Repository): Promise<BackupResult> {
    return backup(repository, this.source, { allowEmpty: true });
  }

  /** Takes the history as it is now, whatever this machine has seen. */
  async adopt(): Promise<void> {
    await this.run({ adopt: true, sync: false }, (repository) => repository.adopt());
  }

  async recover(): Promise<void> {
    await this.run({ create: 'never', sync: false }, (repository) => recover(repository));
  }

  /** A version as test/trees.ts describes it, by way of a restore. */
  async restored(repository: Repository, stream: string, sequence: number): Promise<string[]> {
    const target = path.join(this.#directory, 'restored');
    fs.mkdirSync(target);
    try {
      await restore(repository, { stream, sequence, target });
      return describeTree(target);
    } finally {
      fs.rmSync(target, { recursive: true });
    }
  }
}
