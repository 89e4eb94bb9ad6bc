// Every byte that comes through a mount, with the real command: whoever reads, in whatever order, with little memory, while the
// server is stopped, killed, or its packs are damaged.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { openCatalogReader } from '../../lib/catalog/index.js';
import { mountAt } from '../../lib/posix/mount.js';
import { noMount, start } from '../mount/live.js';
import { compare, ended, serve, treeHome, type TreeHome } from './reading.js';

const skip = noMount;

let made: Promise<TreeHome> | undefined;
/** The one that all tests here have; each leaves it unmounted and whole, and what was cached by one before is gone. */
async function sharedHome(): Promise<TreeHome> {
  const home = await (made ??= treeHome(t));
  fs.rmSync(home.at('cache'), { recursive: true, force: true });
  return home;
}

void t.test('many readers of two mounts of one repository, with little memory', { skip }, async (t) => {
  const home = await sharedHome();
  const other = { ...home, mnt: home.at('other'), shown: home.at('other', 'tree/current') };
  fs.mkdirSync(other.mnt);
  for (const { mnt } of [home, other]) await home.ok('mount', '--cache-size', '8M', mnt);
  const readers = Array.from({ length: 16 }, (_, index) =>
    compare(home, index % 4 < 2 ? 'sequential' : 'random', index, [home, other][index % 2]!.shown),
  );
  t.strictSame((await Promise.all(readers)).flat(), [], 'side by side');
  t.strictSame(await compare(home, 'sequential', 99), [], 'and once more');
  for (const { mnt } of [home, other]) await home.ok('umount', mnt);
});

void t.test('cp, diff, tar and mmap, first and second time', { skip }, async (t) => {
  const home = await sharedHome();
  const { mnt, shown, tree } = home;
  await home.ok('mount', '--cache-size', '8M', mnt);
  for (const time of ['first', 'second']) {
    await home.run('cp', '-r', `${shown}/`, home.at(time));
    await home.run('diff', '-r', home.at(time), tree);
    await home.run('diff', '-r', `${shown}/`, tree);
  }
  await home.ok('umount', mnt);
  await home.ok('mount', '--cache-size', '8M', mnt);
  await home.run(
    'sh',
    '-c',
    'mkdir "$2" && tar -C "$1" -c . | tar -C "$2" -x',
    'sh',
    shown,
    home.at('third'),
  );
  await home.run('diff', '-r', home.at('third'), tree);
  const mapped =
    'import mmap,sys,os\n' +
    'a,b=[mmap.mmap(os.open(n,os.O_RDONLY),0,prot=mmap.PROT_READ) for n in sys.argv[1:]]\n' +
    'order=[i*2654435761%len(a)//4096*4096 for i in range(3000)]\n' +
    'sys.exit(0 if all(a[i:i+5000]==b[i:i+5000] for i in order) and a[:]==b[:] else 1)';
  for (const name of ['d1/large', 'd2/sparse'])
    await home.run('python3', '-c', mapped, path.join(shown, name), path.join(tree, name));
  await home.ok('umount', mnt);
  t.equal(mountAt(mnt), undefined);
});

/** By file of the tree, the stored blocks that it needs, each as 'pack offset size'. */
async function blocksOf(home: TreeHome): Promise<Map<string, Set<string>>> {
  const catalog = openCatalogReader(home.at('catalog.mdb'), '');
  const [stream] = catalog.streams();
  const files = new Map<string, Set<string>>();
  for (const { path: name, after } of catalog.changes(stream!.id, 0, 1)) {
    if (after?.type !== 'file') continue;
    const blocks = after.content.flatMap((segment) => {
      const place = segment.kind === 'hole' ? undefined : catalog.chunk(segment.id);
      return place === undefined
        ? []
        : [`${place.pack} ${place.blockOffset_bytes} ${place.blockStored_bytes}`];
    });
    files.set(name.toString(), new Set(blocks));
  }
  await catalog.close();
  return files;
}

/** Changes one byte in the middle of the stored block; the same again undoes it. */
function flip(home: TreeHome, block: string): void {
  const [pack = '', offset, size] = block.split(' ');
  const file = fs.openSync(home.at('repository/packs', pack.slice(0, 2), pack), 'r+');
  const at = Number(offset) + Math.floor(Number(size) / 2);
  const byte = Buffer.alloc(1);
  fs.readSync(file, byte, 0, 1, at);
  byte[0]! ^= 0x10;
  fs.writeSync(file, byte, 0, 1, at);
  fs.closeSync(file);
}

void t.test('a damaged pack: an error for the files in the damaged block alone', { skip }, async (t) => {
  const home = await sharedHome();
  const blocks = await blocksOf(home);
  const damage = [...blocks.get('d0/e0/f24')!, [...blocks.get('d2/sparse')!][2]!];
  execFileSync('chmod', ['-R', 'u+w', home.at('repository/packs')]);
  for (const block of damage) flip(home, block);
  const hurt = [...blocks]
    .filter(([, needs]) => damage.some((block) => needs.has(block)))
    .map(([name]) => name);
  t.ok(hurt.length >= 2 && hurt.length < blocks.size / 2, `${hurt.length} of ${blocks.size}`);
  const expected = hurt.map((name) => `${name} EIO`).sort();
  const server = await serve(home);
  let log = '';
  server.stderr?.on('data', (text) => (log += text));
  t.strictSame((await compare(home, 'sequential', 1)).sort(), expected);
  t.strictSame(
    (await compare(home, 'sequential', 2)).sort(),
    expected,
    'nor does the page cache hold any of it',
  );
  t.strictSame(
    (await Promise.all([3, 4, 5].map((seed) => compare(home, 'random', seed))))
      .flat()
      .filter((line) => !expected.includes(line)),
    [],
  );
  const [, name, pack] = /warning: (\S+) cannot be read: pack (\w+)/.exec(log) ?? [];
  t.ok(hurt.includes(name!) && damage[0]!.startsWith(pack!), 'the log names the path and the pack');
  t.match(
    log,
    / \(in version 1 and later\); to heal it: rrbackup repair --read-data\n/,
    'whom it hurts, and the way out',
  );
  for (const block of damage) flip(home, block);
  t.strictSame(await compare(home, 'sequential', 6), [], 'whole again, read again');
  server.kill('SIGTERM');
  t.equal(await ended(server), 0);
});

/** The state of a process as in proc(5): 'D' could not even be killed. */
function stateOf(pid: number): string | undefined {
  try {
    return fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.[0];
  } catch {
    return undefined;
  }
}

void t.test('kill -9 of the server while many read', { skip }, async (t) => {
  const home = await sharedHome();
  for (let round = 0; round < 4; round++) {
    const server = await serve(home);
    const readers = Array.from({ length: 8 }, () =>
      start('sh', ['-c', 'while tar -C "$1" -c . | cat; do :; done', 'sh', home.shown]),
    );
    const over = readers.map(
      (reader) => new Promise((resolve) => reader.once('close', (_, signal) => resolve(signal))),
    );
    await Promise.all(
      readers.map((reader) => new Promise((resolve) => reader.stdout?.once('data', resolve))),
    );
    for (const reader of readers) reader.stdout?.resume();
    server.kill('SIGKILL');
    t.equal(await ended(server), 'SIGKILL');
    for (const reader of readers) reader.kill('SIGTERM');
    t.strictSame(new Set(await Promise.all(over)), new Set(['SIGTERM']));
    t.strictSame(
      readers.map(({ pid }) => stateOf(pid!)).filter((state) => state === 'D'),
      [],
    );
    if (round % 2 === 0) await home.ok('umount', home.mnt);
  }
  const server = await serve(home);
  t.strictSame(await compare(home, 'random', 1), [], 'the next mount clears the place');
  server.kill('SIGTERM');
  t.equal(await ended(server), 0);
});

void t.test('the server is stopped for a while, as by a suspend', { skip }, async (t) => {
  const home = await sharedHome();
  const server = await serve(home);
  let isReading = true;
  const readers = Promise.all(
    [1, 2, 3, 4].map((seed) => compare(home, seed % 2 === 0 ? 'random' : 'sequential', seed)),
  ).finally(() => (isReading = false));
  while (isReading) {
    server.kill('SIGSTOP');
    while (stateOf(server.pid!) !== 'T') await new Promise(setImmediate);
    await new Promise((resolve) => setTimeout(resolve, 30));
    server.kill('SIGCONT');
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  t.strictSame((await readers).flat(), []);
  server.kill('SIGTERM');
  t.equal(await ended(server), 0);
});
