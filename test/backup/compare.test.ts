// The comparison against a version: each way an entry can differ, and what stays when something cannot be read.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import fc from 'fast-check';
import { comparePaths } from '../../lib/bytes/path.js';
import type { CompareOptions } from '../../lib/backup/compare.js';
import type { MemoryCatalog } from '../restore/memory-catalog.js';
import { runs } from '../runs.js';
import { isRoot, scratchDirectory } from '../trees.js';
import { differences, optionsFor as options, remember } from './findings.js';

const scratch = scratchDirectory(t);

const optionsFor = (root: string, catalog?: MemoryCatalog, previous = 0): CompareOptions =>
  options(root, catalog === undefined ? {} : { catalog, previous });

function kindsAndPaths(options: CompareOptions): string[] {
  return differences(options)
    .filter(({ kind }) => kind !== 'unchanged')
    .map(({ kind, path }) => `${kind} ${path ?? '-'}`);
}

const makeTree = (root: string): void => {
  for (const directory of ['a', 'a/b', 'a-c', 'z', 'empty']) fs.mkdirSync(path.join(root, directory));
  for (const file of ['a/1', 'a/b/2', 'a-c/3', 'z/4', 'top']) fs.writeFileSync(path.join(root, file), file);
  fs.symlinkSync('top', path.join(root, 'link'));
};

t.test('without a version everything is added', (t) => {
  const root = scratchDirectory(t);
  makeTree(root);
  t.strictSame(
    kindsAndPaths(optionsFor(root)),
    ['', 'a', 'a/1', 'a/b', 'a/b/2', 'a-c', 'a-c/3', 'empty', 'link', 'top', 'z', 'z/4'].map(
      (p) => `added ${p}`,
    ),
  );
  t.end();
});

t.test('nothing done, nothing differs; and each change is its own', (t) => {
  const root = scratchDirectory(t);
  makeTree(root);
  const catalog = remember(root);
  t.strictSame(kindsAndPaths(optionsFor(root, catalog, 1)), []);
  t.equal(differences(optionsFor(root, catalog, 1)).length, 12, 'each of them is told');

  fs.chmodSync(path.join(root, 'empty'), 0o700);
  fs.rmSync(path.join(root, 'a', 'b'), { recursive: true });
  fs.writeFileSync(path.join(root, 'a', 'b'), 'a file now');
  fs.appendFileSync(path.join(root, 'top'), '!');
  fs.rmSync(path.join(root, 'z'), { recursive: true });
  fs.rmSync(path.join(root, 'link'));
  fs.symlinkSync('elsewhere', path.join(root, 'link'));
  fs.rmSync(path.join(root, 'a-c', '3'));
  fs.mkdirSync(path.join(root, 'a-c', '3'));
  fs.writeFileSync(path.join(root, 'a-c', '3', 'new'), '');
  t.strictSame(kindsAndPaths(optionsFor(root, catalog, 1)), [
    'metadata ',
    'metadata a',
    'changed a/b',
    'removed a/b/2',
    'metadata a-c',
    'changed a-c/3',
    'added a-c/3/new',
    'metadata empty',
    'changed link',
    'changed top',
    'removed z',
    'removed z/4',
  ]);
  t.end();
});

t.test('a file with other times, inode or links must be read, same size or not', (t) => {
  const root = scratchDirectory(t);
  fs.writeFileSync(path.join(root, 'f'), 'one');
  fs.writeFileSync(path.join(root, 'linked'), 'two');
  const catalog = remember(root);
  fs.writeFileSync(path.join(root, 'g'), 'ONE');
  const { atime, mtime } = fs.statSync(path.join(root, 'f'));
  fs.utimesSync(path.join(root, 'g'), atime, mtime);
  fs.renameSync(path.join(root, 'g'), path.join(root, 'f'));
  fs.linkSync(path.join(root, 'linked'), path.join(root, 'twin'));
  t.strictSame(kindsAndPaths(optionsFor(root, catalog, 1)), [
    'metadata ',
    'changed f',
    'changed linked',
    'added twin',
  ]);
  t.end();
});

t.test('a file written within the clock tick of the last scan is read again', (t) => {
  const root = scratchDirectory(t);
  fs.writeFileSync(path.join(root, 'f'), 'one');
  const catalog = remember(root);
  const ctime_ns = fs.statSync(path.join(root, 'f'), { bigint: true }).ctimeNs;
  const at = (previousStarted_ns: bigint): string[] =>
    kindsAndPaths({ ...optionsFor(root, catalog, 1), previousStarted_ns });
  t.strictSame(at(ctime_ns + 1_000_000n), ['changed f']);
  t.strictSame(at(ctime_ns - 1_000_000n), ['changed f']);
  t.strictSame(at(ctime_ns + 3_000_000_000n), []);
  t.end();
});

t.test('what cannot be read stays as it was', { skip: !isRoot }, (t) => {
  const root = scratchDirectory(t);
  makeTree(root);
  fs.chmodSync(root, 0o755);
  const catalog = remember(root);
  fs.chmodSync(path.join(root, 'a'), 0o000);
  fs.chmodSync(path.join(root, 'z'), 0o444);
  fs.rmSync(path.join(root, 'a-c'), { recursive: true });
  process.seteuid?.(65_534);
  let found: string[];
  try {
    found = kindsAndPaths(optionsFor(root, catalog, 1));
  } finally {
    process.seteuid?.(0);
  }
  t.strictSame(found, [
    'metadata ',
    'metadata a',
    'unreadable a',
    'kept -',
    'kept -',
    'kept -',
    'removed a-c',
    'removed a-c/3',
    'metadata z',
    'unreadable z/4',
    'kept -',
  ]);
  t.end();
});

t.test('any two trees: the differences turn the one into the other', (t) => {
  const name = fc.constantFrom('a', 'a-', 'a.b', 'b', 'c');
  const tree = fc.uniqueArray(fc.array(name, { minLength: 1, maxLength: 4 }), {
    maxLength: 12,
    selector: (names) => names.join('/'),
  });
  fc.assert(
    fc.property(tree, tree, (before, after) => {
      const root = fs.mkdtempSync(path.join(scratch, 'x'));
      build(root, before);
      const catalog = remember(root);
      for (const child of fs.readdirSync(root)) fs.rmSync(path.join(root, child), { recursive: true });
      build(root, after);
      const paths = new Set(differences(optionsFor(root)).map(({ path }) => path!));
      for (const enough of [Infinity, 1, 2]) {
        const replayed = new Set(catalog.paths(1));
        let last: Buffer | undefined;
        let count = 0;
        for (const { kind, path } of differences(optionsFor(root, catalog, 1), enough)) {
          if (kind !== 'removed') count++;
          if (path === undefined) continue;
          const at = Buffer.from(path, 'latin1');
          if (last && comparePaths(last, at) >= 0) return false;
          last = at;
          if (kind === 'removed') replayed.delete(path);
          else replayed.add(path);
        }
        if (count !== paths.size || [...replayed].sort().join() !== [...paths].sort().join()) return false;
      }
      return true;
    }),
    runs(60),
  );
  t.end();
});

/** Makes each path a file, and a directory of whatever stands in the way. */
function build(root: string, paths: readonly (readonly string[])[]): void {
  for (const names of [...paths].sort((a, b) => b.length - a.length)) {
    const full = path.join(root, ...names);
    fs.mkdirSync(path.dirname(full), { recursive: true });
    if (!fs.existsSync(full)) fs.writeFileSync(full, names.join());
  }
}
