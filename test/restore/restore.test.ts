// Restoring: exact, never overwriting, going on after an interruption, and never outside its target.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { Entry } from '../../lib/manifest/types.js';
import { tryLockDescriptor } from '../../lib/posix/flock.js';
import { setModified } from '../../lib/posix/attributes.js';
import { type RestoreOptions, type RestoreResult, restore } from '../../lib/restore/index.js';
import { describeTree, everythingTree, isRoot, scratchDirectory } from '../trees.js';
import { MemoryRepository } from './memory-repository.js';

interface Restored {
  readonly result: RestoreResult;
  readonly warnings: string[];
}

async function into(
  repository: MemoryRepository,
  target: string,
  options: Partial<RestoreOptions> = {},
): Promise<Restored> {
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const result = await restore({
    repository,
    stream: 's',
    sequence: 1,
    target,
    setuid: true,
    onWarning,
    ...options,
  });
  return { result, warnings };
}

function withTree(
  t: Tap,
  make: (root: string) => void,
): { root: string; target: string; repository: MemoryRepository } {
  const scratch = scratchDirectory(t);
  const root = path.join(scratch, 'source');
  fs.mkdirSync(root);
  make(root);
  const repository = new MemoryRepository();
  repository.add(root, 1);
  return { root, target: path.join(scratch, 'new', 'target'), repository };
}
type Tap = Parameters<typeof scratchDirectory>[0];

const smallTree = (root: string): void => {
  for (const directory of ['a', 'a/b', 'c', 'c/.hidden', 'empty']) fs.mkdirSync(path.join(root, directory));
  for (const file of ['a/1', 'a/b/2', 'a/b/3.txt', 'c/.hidden/4.txt', 'top.txt'])
    fs.writeFileSync(path.join(root, file), `content of ${file}`);
  fs.symlinkSync('a/1', path.join(root, 'link'));
};

t.test('everything comes back exactly, and a second time nothing is left to do', async (t) => {
  const { root, target, repository } = withTree(t, (root) => {
    everythingTree(root, { beyondPathMax: true });
    // Only root can read it back.
    if (!isRoot) fs.chmodSync(path.join(root, 'modes', '0000'), 0o400);
  });
  const { result, warnings } = await into(repository, target);
  t.strictSame(warnings, []);
  t.strictSame(describeTree(target), describeTree(root));
  t.match(result, { conflicts: 0, failed: 0, alreadyRight: 0 });
  t.equal(result.files + result.directories + result.others, describeTree(root).length);

  repository.reads = 0;
  const again = await into(repository, target);
  t.strictSame(describeTree(target), describeTree(root));
  t.match(again.result, { conflicts: 0, failed: 0, bytes: 0, alreadyRight: again.result.files });
  t.equal(repository.reads, 0, 'what is right is not fetched');
});

t.test(
  'as an ordinary user: owners stay, everything else is right, one warning',
  { skip: !isRoot },
  async (t) => {
    const { root, target, repository } = withTree(t, (root) => everythingTree(root));
    fs.chmodSync(path.dirname(root), 0o755);
    fs.mkdirSync(path.dirname(target));
    fs.chownSync(path.dirname(target), 65_534, 65_534);
    process.setegid?.(65_534);
    process.seteuid?.(65_534);
    let restored: Restored;
    try {
      restored = await into(repository, target);
    } finally {
      process.seteuid?.(0);
      process.setegid?.(0);
    }
    t.equal(restored.warnings.filter((warning) => warning.includes('owners')).length, 1);
    t.ok(restored.warnings.some((warning) => /special\/null cannot be put back/.test(warning)));
    t.equal(restored.result.failed, 2, 'two devices');
    const comparable = (directory: string): string[] =>
      describeTree(directory)
        .filter((line) => !/^special/.test(line))
        .map((line) =>
          line
            .replace(/ \d+:\d+ /, ' ')
            .replace(/\[(trusted|security)\.[^\]]*\]/g, '')
            .replace(/ (\d{5,6}) mtime/, (_, mode: string) => ` ${Number.parseInt(mode, 8) & ~0o6000} mtime`)
            .replace(/ +/g, ' ')
            .trimEnd(),
        );
    t.strictSame(comparable(target), comparable(root));
  },
);

t.test('a part of it, by path and by pattern', async (t) => {
  const { root, target, repository } = withTree(t, smallTree);
  fs.chmodSync(path.join(root, 'a'), 0o710);
  setModified(Buffer.from(path.join(root, 'a')), 1_234_567_890_123_456_789n);
  repository.add(root, 1);
  const names = (): string[] =>
    describeTree(target)
      .map((line) => line.split(' ')[0]!)
      .slice(1);
  const cases: [paths: string[], expected: string[]][] = [
    [['a/b/2'], ['a', 'a/b', 'a/b/2']],
    [
      ['a/b/', './top.txt'],
      ['a', 'a/b', 'a/b/2', 'a/b/3.txt', 'top.txt'],
    ],
    [['/the/source/a/1'], ['a', 'a/1']],
    [['**/*.txt'], ['a', 'a/b', 'a/b/3.txt', 'c', 'c/.hidden', 'c/.hidden/4.txt', 'top.txt']],
    [['c/*'], ['c', 'c/.hidden', 'c/.hidden/4.txt']],
    // What another argument names already still counts for a pattern.
    [
      ['c', 'c/**/*.txt', 'top.txt', 't?p.txt'],
      ['c', 'c/.hidden', 'c/.hidden/4.txt', 'top.txt'],
    ],
    [
      ['empty', 'link'],
      ['empty', 'link'],
    ],
    [
      ['/the/source'],
      describeTree(root)
        .map((line) => line.split(' ')[0]!)
        .slice(1),
    ],
  ];
  for (const [paths, expected] of cases) {
    await into(repository, target, { paths });
    t.strictSame(names(), expected, paths.join(' '));
    const wanted = new Set(describeTree(root));
    t.strictSame(
      describeTree(target).filter((line) => !wanted.has(line)),
      [],
      'parents with their recorded attributes too',
    );
    fs.rmSync(target, { recursive: true });
  }
  for (const paths of [['nothing'], ['a/*.none'], ['top.txt', 'a/1/deeper']]) {
    await t.rejects(into(repository, target, { paths }), {
      kind: 'not_found',
      code: 'restore.path_not_found',
    });
    t.notOk(fs.existsSync(target), 'nothing is written');
  }
  await t.rejects(into(repository, target, { paths: ['../x'] }), { code: 'restore.path_outside' });
  await t.rejects(into(repository, target, { paths: ['/the/other'] }), { code: 'restore.path_outside' });
  await t.rejects(into(repository, target, { sequence: 9 }), {
    code: 'restore.no_version',
    kind: 'not_found',
  });
});

t.test('a name full of pattern characters, and one that is not UTF-8', async (t) => {
  const raw = Buffer.from([0xff, 0x2e, 0x74, 0x78, 0x74]);
  const { root, target, repository } = withTree(t, (root) => {
    fs.writeFileSync(path.join(root, '[a]*?'), 'x');
    fs.writeFileSync(path.join(root, 'ab'), 'y');
    fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/`), raw]), 'z');
  });
  await into(repository, target, { paths: ['[a]*?'] });
  t.strictSame(fs.readdirSync(target), ['[a]*?']);
  await into(repository, target, { paths: [raw] });
  t.equal(describeTree(target).length, 3);
  await into(repository, target, { paths: ['*'] });
  t.strictSame(describeTree(target).slice(1), describeTree(root).slice(1));
});

t.test('what differs stays, unless told otherwise', async (t) => {
  const { root, target, repository } = withTree(t, smallTree);
  fs.mkdirSync(path.join(target, 'a', 'b'), { recursive: true });
  fs.writeFileSync(path.join(target, 'a', '1'), 'mine');
  fs.writeFileSync(path.join(target, 'c'), 'a file where a directory belongs');
  fs.mkdirSync(path.join(target, 'top.txt'));
  fs.writeFileSync(path.join(target, 'top.txt', 'kept'), '');
  fs.symlinkSync('/elsewhere', path.join(target, 'link'));
  fs.writeFileSync(path.join(target, 'foreign'), 'stays');
  const before = fs.lstatSync(target, { bigint: true });
  const { result, warnings } = await into(repository, target);
  t.equal(result.conflicts, 4);
  t.equal(warnings.filter((warning) => warning.includes('kept as it is')).length, 4);
  t.equal(fs.readFileSync(path.join(target, 'a', '1'), 'utf8'), 'mine');
  t.equal(fs.readFileSync(path.join(target, 'a', 'b', '2'), 'utf8'), 'content of a/b/2');
  t.equal(fs.readlinkSync(path.join(target, 'link')), '/elsewhere');
  t.equal(
    fs.lstatSync(target, { bigint: true }).mode,
    before.mode,
    'a target with other things keeps its mode',
  );

  const forced = await into(repository, target, { overwrite: true });
  t.equal(forced.result.conflicts, 1, 'a directory is never replaced by a file');
  fs.rmSync(path.join(target, 'top.txt'), { recursive: true });
  fs.rmSync(path.join(target, 'foreign'));
  await into(repository, target);
  t.strictSame(describeTree(target), describeTree(root));
});

t.test('same size and time but other content is not taken for the same', async (t) => {
  const { root, target, repository } = withTree(t, smallTree);
  fs.mkdirSync(target, { recursive: true });
  fs.writeFileSync(path.join(target, 'top.txt'), 'content of TOP.txt');
  const { mtimeNs } = fs.statSync(path.join(root, 'top.txt'), { bigint: true });
  setModified(Buffer.from(path.join(target, 'top.txt')), mtimeNs);
  t.match(await into(repository, target), { result: { conflicts: 1 } });
  t.equal(fs.readFileSync(path.join(target, 'top.txt'), 'utf8'), 'content of TOP.txt');
});

t.test('an interrupted restore leaves only complete files and is gone on with', async (t) => {
  const { root, target, repository } = withTree(t, (root) => {
    for (let index = 0; index < 600; index++) fs.writeFileSync(path.join(root, `f${index}`), `${index}`);
    fs.writeFileSync(path.join(root, 'large'), Buffer.alloc(40 << 20, 'large'));
  });
  const controller = new AbortController();
  let done = 0;
  await t.rejects(
    into(repository, target, {
      signal: controller.signal,
      onProgress: ({ files_done }) => {
        done = files_done;
        controller.abort();
      },
    }),
    { code: 'interrupted' },
  );
  const expected = new Set(describeTree(root));
  t.strictSame(
    describeTree(target)
      .slice(1)
      .filter((line) => !expected.has(line) && !line.startsWith('.rrbackup-partial-')),
    [],
  );
  fs.writeFileSync(path.join(target, '.rrbackup-partial'), 'left by a kill -9');
  const { result } = await into(repository, target);
  t.ok(done > 0 && result.alreadyRight >= done);
  t.notOk(fs.existsSync(path.join(target, '.rrbackup-partial')));
  await into(repository, target);
  t.strictSame(describeTree(target), describeTree(root));
});

t.test('a damaged block spoils its own files only', async (t) => {
  const { root, target, repository } = withTree(t, (root) => {
    for (let index = 0; index < 100; index++) fs.writeFileSync(path.join(root, `f${index}`), `${index}`);
    fs.linkSync(path.join(root, 'f0'), path.join(root, 'twin of f0'));
  });
  repository.turnBit();
  const { result, warnings } = await into(repository, target);
  t.equal(result.failed, 17);
  t.equal(result.files, 84);
  t.equal(warnings.filter((warning) => /pack [0-9a-f]{64}, block 0/.test(warning)).length, 17);
  repository.turnBit();
  await into(repository, target);
  t.strictSame(describeTree(target), describeTree(root));
});

t.test('symlinks in the target and hostile versions lead nowhere else', async (t) => {
  const { root, target, repository } = withTree(t, smallTree);
  const outside = path.join(path.dirname(root), 'outside');
  fs.mkdirSync(outside);
  fs.mkdirSync(target, { recursive: true });
  fs.symlinkSync(outside, path.join(target, 'a'));
  fs.symlinkSync(outside, path.join(target, 'c'));
  fs.symlinkSync(path.join(outside, 'new'), path.join(target, 'top.txt'));
  t.match((await into(repository, target)).result, { conflicts: 3 });
  t.strictSame(fs.readdirSync(outside), []);
  await into(repository, target, { overwrite: true });
  t.strictSame(fs.readdirSync(outside), []);
  t.strictSame(describeTree(target), describeTree(root));

  for (const name of ['..', '.', 'x/y', '']) {
    const hostile = new MemoryRepository();
    hostile.add(root, 1);
    const evil = { ...hostile.catalog.find('', 1, Buffer.from('top.txt'))!, name: Buffer.from(name) };
    hostile.catalog.list = () => [evil][Symbol.iterator]();
    await t.rejects(into(hostile, `${target}-hostile`), { code: 'restore.unsafe_name', kind: 'damaged' });
    t.notOk(fs.existsSync(`${target}-hostile`));
  }
});

t.test('hard links that cannot be made again become right with the next run', async (t) => {
  const { root, target, repository } = withTree(t, (root) => {
    fs.mkdirSync(path.join(root, 'd'));
    fs.writeFileSync(path.join(root, 'one'), 'linked');
    fs.linkSync(path.join(root, 'one'), path.join(root, 'd', 'two'));
    fs.linkSync(path.join(root, 'one'), path.join(root, 'three'));
  });
  await into(repository, target);
  fs.rmSync(path.join(target, 'three'));
  fs.copyFileSync(path.join(target, 'one'), path.join(target, 'three'));
  setModified(
    Buffer.from(path.join(target, 'three')),
    fs.statSync(path.join(target, 'one'), { bigint: true }).mtimeNs,
  );
  const { result } = await into(repository, target);
  t.equal(result.conflicts, 0, 'a copy with the same content and time becomes the link');
  t.strictSame(describeTree(target), describeTree(root));
  fs.rmSync(path.join(target, 'd', 'two'));
  await into(repository, target, { paths: ['d/two', 'three'] });
  t.equal(fs.statSync(path.join(target, 'd', 'two')).ino, fs.statSync(path.join(target, 'three')).ino);
});

t.test('bad targets are refused in words', async (t) => {
  const { root, target, repository } = withTree(t, smallTree);
  await t.rejects(into(repository, path.join(root, 'top.txt')), {
    code: 'restore.bad_target',
    kind: 'usage',
  });
  fs.mkdirSync(target, { recursive: true });
  const fd = fs.openSync(target, 'r');
  tryLockDescriptor(fd);
  await t.rejects(into(repository, target), { code: 'restore.target_busy', kind: 'busy' });
  fs.closeSync(fd);
  t.match(await into(repository, target), { result: { conflicts: 0 } });
});

t.test('a lost chunk or a wrong sum is told of one file', async (t) => {
  const { target, repository } = withTree(t, smallTree);
  const entries = ['', 'a', 'a/1', 'top.txt'].map((name): [Buffer, Entry] => [
    Buffer.from(name),
    repository.catalog.find('', 1, Buffer.from(name))?.entry ?? repository.catalog.root('', 1)!.entry,
  ]);
  const lost = { kind: 'chunk' as const, id: Buffer.alloc(32, 9), size_bytes: entries[2]![1].size_bytes };
  entries[2]![1] = { ...entries[2]![1], content: [lost] };
  entries[3]![1] = { ...entries[3]![1], size_bytes: 5 };
  repository.catalog.setVersion(2, entries);
  const { result, warnings } = await into(repository, target, { sequence: 2 });
  t.equal(result.failed, 2);
  t.match(warnings.join('\n'), /a\/1 .*no known pack[^]*top\.txt .*add up/);
  t.strictSame(fs.readdirSync(target), ['a']);
});
