// Helpers for tests with a real mount. This process serves it: everything that touches the mount is another process, with a
// time after which it is killed, so that a mistake ends in a failed test and not in a machine to restart.

import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import type { Test } from 'tap';
import { mountRepository, type MountDriver, type Mounted, type MountOptions } from '../../lib/mount/index.js';
import { scratchDirectory } from '../trees.js';
import { repositoryId, TestRepository } from './repository.js';

const patience_ms = 20_000;

/** Why there can be no real mount here; false if there can. */
export const noMount: string | false = whyNot();

function whyNot(): string | false {
  if (process.platform !== 'linux') return 'needs Linux';
  if (!fs.existsSync('/dev/fuse')) return 'needs /dev/fuse';
  return process.geteuid?.() === 0 ? false : 'needs root';
}

export interface Ran {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

export function start(
  command: string,
  args: readonly string[],
  options: { user?: number } = {},
): ChildProcess {
  const identity = options.user === undefined ? {} : { uid: options.user, gid: options.user };
  const timeout = { timeout: patience_ms, killSignal: 'SIGKILL' as const };
  return spawn(command, args, { ...identity, ...timeout, env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } });
}

/** Output as latin1, so that any byte can be compared. */
export async function run(
  command: string,
  args: readonly string[],
  options: { user?: number } = {},
): Promise<Ran> {
  const child = start(command, args, options);
  let output = '';
  let errors = '';
  child.stdout?.setEncoding('latin1').on('data', (text: string) => (output += text));
  child.stderr?.setEncoding('latin1').on('data', (text: string) => (errors += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      resolve({ status, signal, output, errors });
    });
  });
}

export async function shell(script: string, ...args: string[]): Promise<Ran> {
  return run('sh', ['-c', script, 'sh', ...args]);
}

export interface Live {
  readonly repository: TestRepository;
  readonly mounted: Mounted;
  readonly at: string;
  /** For files beside the mount. */
  readonly scratch: string;
  readonly warnings: string[];
}

/** A repository that `fill` fills, mounted; taken down at the end of the test whatever happened. */
export async function live(
  t: Test,
  driver: MountDriver,
  fill: (repository: TestRepository) => Promise<void>,
  options: Partial<MountOptions> = {},
): Promise<Live> {
  const scratch = scratchDirectory(t);
  const repository = await TestRepository.create(scratch);
  await fill(repository);
  const at = path.join(scratch, 'mnt');
  fs.mkdirSync(at);
  const warnings: string[] = [];
  const mounted = await mountRepository({
    catalog: repository.catalog,
    catalogPath: repository.catalogPath,
    repositoryId,
    content: repository.content(),
    mountpoint: at,
    tree: { host: 'here', owner: { uid: 0, gid: 0 } },
    driver,
    allowOther: false,
    forbidden: [],
    onWarning: (message) => warnings.push(message),
    ...options,
  });
  t.teardown(async () => {
    await mounted.unmount();
    await repository.catalog.close();
  });
  return { repository, mounted, at, scratch, warnings };
}
