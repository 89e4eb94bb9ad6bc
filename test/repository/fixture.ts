// A repository in memory with its machine's state in a scratch directory, and a source to back up.

import fs from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import {
  type OpenOptions,
  type Repository,
  type RepositoryConfiguration,
  openRepositoryOn,
  restore,
} from '../../lib/index.js';
import type { SourceConfiguration } from '../../lib/repository/types.js';
import { MemoryStore } from '../../lib/store/memory.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { describeTree, scratchDirectory } from '../trees.js';

export class Machine {
  readonly directory: string;
  readonly notes: string[] = [];
  readonly store: MemoryStore;
  readonly source: SourceConfiguration;
  readonly #t: Test;

  /** Two machines may share a store. */
  constructor(t: Test, store = new MemoryStore()) {
    this.#t = t;
    this.directory = scratchDirectory(t);
    this.store = store;
    fs.mkdirSync(this.at('source'));
    this.source = {
      name: 'source',
      path: this.at('source'),
      exclude: [],
      excludeFiles: [],
      oneFileSystem: false,
      excludeCaches: false,
    };
  }

  at(...names: string[]): string {
    return path.join(this.directory, ...names);
  }

  write(name: string, content: string | Uint8Array): void {
    fs.mkdirSync(path.dirname(this.at('source', name)), { recursive: true });
    fs.writeFileSync(this.at('source', name), content);
  }

  configuration(changes: Partial<RepositoryConfiguration> = {}): Omit<RepositoryConfiguration, 'store'> {
    return {
      encryption: 'none',
      password: () => Promise.reject(new Error('no password is needed')),
      commitLocked: false,
      host: 'machine.example',
      catalogPath: undefined,
      stateDirectory: this.at('state'),
      cacheDirectory: this.at('cache'),
      ...changes,
    };
  }

  /** Closed at the end of the test. */
  async open(
    options: Partial<OpenOptions> = {},
    of: { store?: ObjectStore; configuration?: Partial<RepositoryConfiguration> } = {},
  ): Promise<Repository> {
    const repository = await openRepositoryOn(of.store ?? this.store, this.configuration(of.configuration), {
      access: 'write',
      create: 'if-new',
      note: (message) => this.notes.push(message),
      ...options,
    });
    this.#t.teardown(() => repository.close());
    return repository;
  }

  /** A version as test/trees.ts describes it, by way of a restore. */
  async restored(repository: Repository, sequence: number): Promise<string[]> {
    const target = fs.mkdtempSync(this.at('restored-'));
    const stream = repository.streamId(this.source.name);
    await restore(repository, { stream, sequence, target, setuid: true });
    const tree = describeTree(target);
    fs.rmSync(target, { recursive: true });
    return tree;
  }

  described(): string[] {
    return describeTree(this.source.path);
  }
}
