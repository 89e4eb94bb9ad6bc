// What the tests of reading through a mount share: a tree of many small and some large files with holes, and readers of it.

import { randomBytes } from 'node:crypto';
import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { newHome, type Home } from './cli.js';

const script = fileURLToPath(new URL('./compare.js', import.meta.url));

/** Written anew each time, so that nothing is the same by chance. */
export function makeTree(root: string): void {
  for (let index = 0; index < 240; index++) {
    const directory = path.join(root, `d${index % 4}`, `e${index % 3}`);
    fs.mkdirSync(directory, { recursive: true });
    fs.writeFileSync(path.join(directory, `f${index}`), randomBytes((index * 331) % 9000));
  }
  fs.writeFileSync(path.join(root, 'd1', 'large'), randomBytes(14_000_003));
  const sparse = fs.openSync(path.join(root, 'd2', 'sparse'), 'w');
  for (let index = 0; index < 5; index++)
    fs.writeSync(sparse, randomBytes(1_000_000), 0, 1_000_000, index * 4_000_000 + 4096);
  fs.ftruncateSync(sparse, 22_000_000);
  fs.closeSync(sparse);
}

export interface TreeHome extends Home {
  readonly tree: string;
  readonly mnt: string;
  /** The tree as the mount shows it. */
  readonly shown: string;
}

/** A home with such a tree, backed up; the repository is a directory unless `section` says otherwise. */
export async function treeHome(t: Test, section?: string): Promise<TreeHome> {
  const home = newHome(t, { LC_ALL: 'C' });
  const tree = home.at('tree');
  const mnt = home.at('mnt');
  for (const directory of [tree, mnt]) fs.mkdirSync(directory);
  makeTree(tree);
  home.configure(
    `[main]\nbase_path: ${tree}\ncrypt_password: secret\nlocal_manifest_file: ${home.at('catalog.mdb')}\n` +
      (section ?? `[directory]\npath: ${home.at('repository')}\n`),
  );
  await home.ok('backup');
  return { ...home, tree, mnt, shown: path.join(mnt, 'tree/current') };
}

/** Reads all of the tree and compares; gives the files that could not be read. Throws at the first wrong byte. */
export async function compare(
  home: TreeHome,
  how: 'sequential' | 'random',
  seed: number,
  shown = home.shown,
): Promise<string[]> {
  const output = await home.run(process.execPath, script, how, String(seed), home.tree, shown);
  return output.split('\n').filter((line) => line !== '');
}

/** A mount whose server is a child of the test, to be killed or stopped. */
export async function serve(home: TreeHome): Promise<ChildProcess> {
  const server = home.start('mount', '--foreground', '--cache-size', '8M', home.mnt);
  let said = '';
  // Not until it says so: of a dead mount that it is to clear away the kernel may still remember names.
  await new Promise<void>((resolve, reject) => {
    server.stderr?.on('data', (text) => {
      said += text;
      if (said.includes('shows every version')) resolve();
    });
    server.once('exit', () => {
      reject(new Error(`the mount ended: ${said}`));
    });
  });
  server.stdout?.resume();
  return server;
}

export function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.signalCode ?? child.exitCode);
    else child.once('exit', (status, signal) => resolve(signal ?? status));
  });
}
