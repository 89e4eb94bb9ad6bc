// The data that is measured: made once in the work directory, when it is first asked for. How to make it, each kind at any
// size; the numbers are the callers'.

import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { numbers, stream, text, word } from './seeds.mjs';

export const MiB = 1024 * 1024;

/** `count` files of 200 B to 5 KB, 200 to a directory. `content`: 'text' or 'random'. */
export function smallFiles(directory, { count, seed, content }) {
  const next = numbers(seed);
  const take = stream(`${seed} content`);
  for (let index = 0; index < count; index++) {
    const parent = join(directory, `part-${String(Math.floor(index / 200)).padStart(3, '0')}`);
    if (index % 200 === 0) mkdirSync(parent, { recursive: true });
    const size_bytes = 200 + next(4800);
    writeFileSync(
      join(parent, `${word(next)}-${String(index).padStart(5, '0')}.txt`),
      content === 'text' ? text(size_bytes, next) : take(size_bytes),
    );
  }
}

/** One file of parts in turn: each of `makers` gives the next bytes of the asked size. */
export function bigFile(path, size_bytes, ...makers) {
  const part_bytes = 4 * MiB;
  const file = openSync(path, 'w');
  for (let at = 0, turn = 0; at < size_bytes; at += part_bytes, turn++)
    writeSync(file, makers[turn % makers.length](Math.min(part_bytes, size_bytes - at)));
  closeSync(file);
}

/** Big and small files, none of which compresses. */
export function mixedFiles(directory, { big, big_bytes, small }) {
  smallFiles(join(directory, 'small'), { count: small, seed: 'mixed', content: 'random' });
  mkdirSync(join(directory, 'big'), { recursive: true });
  const take = stream('mixed big');
  for (let index = 0; index < big; index++)
    writeFileSync(join(directory, 'big', `${String(index).padStart(3, '0')}.bin`), take(big_bytes));
}

/** What is there of `trees`, as it is on this machine; no more of them once they have `enough_bytes`. */
export async function copyTrees(session, directory, trees, enough_bytes = Infinity) {
  for (const tree of trees.filter((path) => existsSync(path))) {
    if (weigh(directory).size_bytes >= enough_bytes) return;
    const parent = join(directory, dirname(tree));
    mkdirSync(parent, { recursive: true });
    await session.run('cp', ['-a', tree, parent]);
  }
}

/** { count, size_bytes } of the files below a directory. */
export function weigh(directory) {
  const files = readdirSync(directory, { withFileTypes: true, recursive: true }).filter((entry) =>
    entry.isFile(),
  );
  const size_bytes = files
    .map((entry) => lstatSync(join(entry.parentPath ?? entry.path, entry.name)).size)
    .reduce((sum, size) => sum + size, 0);
  return { count: files.length, size_bytes };
}

/**
 * `recipes`: name → { about, make }; `about` is for the reader of the figures, `make(directory, session, path)` may use other
 * data sets.
 */
export function dataSets(session, directory, recipes) {
  /** Absolute path of the data set. */
  const path = async (name) => {
    const made = join(directory, name);
    const stamp = `${made}.made`;
    if (existsSync(stamp)) return made;
    process.stderr.write(`making the data set '${name}': ${recipes[name].about}\n`);
    rmSync(made, { recursive: true, force: true });
    mkdirSync(made, { recursive: true });
    await recipes[name].make(made, session, path);
    writeFileSync(stamp, `${recipes[name].about}\n`);
    return made;
  };
  return { about: (name) => recipes[name].about, path };
}
