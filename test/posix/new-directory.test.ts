// Directories with those above them: made where they can be, and refused at once where they cannot.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { makeDirectories } from '../../lib/posix/new-directory.js';
import { scratchDirectory } from '../trees.js';

void t.test('all that are missing, with the mode', async (t) => {
  const root = scratchDirectory(t);
  const deep = path.join(root, 'a', 'b', 'c');
  makeDirectories(deep);
  for (const directory of [deep, path.dirname(deep)]) t.equal(fs.statSync(directory).mode & 0o777, 0o700);
  makeDirectories(deep);
  fs.symlinkSync(deep, path.join(root, 'link'));
  makeDirectories(path.join(root, 'link', 'd'));
  t.strictSame(fs.readdirSync(deep), ['d']);
});

void t.test('what cannot be is said', async (t) => {
  const root = scratchDirectory(t);
  fs.writeFileSync(path.join(root, 'file'), '');
  fs.symlinkSync('nowhere', path.join(root, 'dangling'));
  for (const [directory, code] of [
    [path.join(root, 'file'), 'EEXIST'],
    [path.join(root, 'dangling'), 'EEXIST'],
    [path.join(root, 'file', 'a', 'b'), 'ENOTDIR'],
    ['/proc/nowhere/a/b', 'ENOENT'],
  ] as const)
    t.throws(() => makeDirectories(directory), { code }, directory);
});
