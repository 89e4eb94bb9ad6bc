// Opening a catalog: made, found again, and whatever else may lie at its path. What could end the process runs in a child.

import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

import t from 'tap';

import { openDatabase } from '../../lib/catalog/database.js';
import { openCatalog, removeCatalog } from '../../lib/catalog/index.js';
import { makeNode } from '../../lib/posix/nodes.js';
import {
  bytesOf,
  commitOf,
  commitsOf,
  directory,
  file,
  packOf,
  repositoryId,
  streamOf,
  type Tree,
} from './trees.js';

t.setTimeout(240_000);

const stream = streamOf(1);
const child = new URL('./child.js', import.meta.url).pathname;

function manyFiles(count: number, mode = 0o644): Tree {
  const tree: Tree = new Map([['', directory()]]);
  for (let number = 0; number < count; number++) {
    if (number % 50 === 0) tree.set(`d${number / 50}`, directory({ inode: BigInt(number) }));
    tree.set(`d${Math.floor(number / 50)}/file ${number}`, file(`text ${number}`, { mode }));
  }
  return tree;
}

async function makeCatalog(at: string): Promise<void> {
  const { catalog } = await openCatalog({ path: at, repositoryId });
  await catalog.ingestAll(commitsOf([manyFiles(700), manyFiles(650, 0o600), manyFiles(700)]));
  await catalog.ingest(
    commitOf({
      sequence: 4,
      rows: [],
      packs: [packOf(...Array.from({ length: 500 }, (_, n) => `text ${n}`))],
    }),
  );
  await catalog.close();
}

/** Entries per version of that catalog. */
const entries = [715, 664, 715, 715];

interface Answer {
  readonly state?: string;
  readonly reason?: string;
  readonly entries?: number[];
  readonly code?: string;
  readonly unexpected?: string;
}

/** What a process of its own makes of catalogs; it fails if that process dies. */
async function inChild(files: string[]): Promise<Answer[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [child, 'read', ...files]);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Answer);
}

const modeOf = (at: string): number => fs.statSync(at).mode & 0o777;

t.test('made with all directories on the way, for its owner only; found again', async (t) => {
  const at = path.join(t.testdir(), 'some', 'where', 'catalog.mdb');
  const created = await openCatalog({ path: at, repositoryId });
  t.equal(created.state, 'created');
  t.same(created.catalog.streams(), []);
  await created.catalog.close();
  t.equal(modeOf(at), 0o600);
  t.equal(modeOf(`${at}-lock`), 0o600);
  t.equal(modeOf(path.dirname(at)), 0o700);
  const opened = await openCatalog({ path: at, repositoryId });
  t.equal(opened.state, 'opened');
  t.equal(opened.reason, undefined);
  await opened.catalog.close();
});

t.test('of another repository or another schema: rebuilt', async (t) => {
  const at = path.join(t.testdir(), 'catalog');
  await makeCatalog(at);
  const other = await openCatalog({ path: at, repositoryId: 'f'.repeat(32) });
  t.match(other, { state: 'rebuilt', reason: 'it belonged to another repository' });
  t.same(other.catalog.streams(), []);
  await other.catalog.close();
  const database = openDatabase({ path: at, readOnly: false });
  database.transaction(() => {
    database.tables.meta.put(Buffer.from('schema'), Buffer.from([0, 0, 0, 0, 0, 0, 0, 99]));
  });
  await database.close();
  const rebuilt = await openCatalog({ path: at, repositoryId: 'f'.repeat(32) });
  t.match(rebuilt, { state: 'rebuilt', reason: 'it was made by another version of rrbackup' });
  await rebuilt.catalog.close();
});

t.test('a file that is something else is kept under another name', async (t) => {
  const at = path.join(t.testdir({ manifest: 'the list of an older program' }), 'manifest');
  const { catalog, state, reason } = await openCatalog({ path: at, repositoryId });
  t.match({ state, reason }, { state: 'rebuilt', reason: 'it was no catalog' });
  await catalog.close();
  t.equal(fs.readFileSync(`${at}.old`, 'utf8'), 'the list of an older program');
});

t.test('a directory at that path is an error, an empty file is none', async (t) => {
  const base = t.testdir({ folder: {}, empty: '' });
  await t.rejects(openCatalog({ path: path.join(base, 'folder'), repositoryId }), {
    code: 'catalog.not_a_file',
  });
  const { catalog, state } = await openCatalog({ path: path.join(base, 'empty'), repositoryId });
  t.equal(state, 'created');
  await catalog.close();
});

t.test('a catalog that others could have written, or that leads elsewhere, is not used', async (t) => {
  const base = t.testdir({ own: {} });
  const at = path.join(base, 'own/catalog');
  const files = ['', '-lock', '-seal'].map((suffix) => `${at}${suffix}`);
  await makeCatalog(at);
  const refused = async (code: string, what: string): Promise<void> => {
    for (const readOnly of [false, true])
      await t.rejects(openCatalog({ path: at, repositoryId, readOnly }), { code, kind: 'usage' }, what);
  };
  for (const each of [path.dirname(at), ...files]) {
    const { mode } = fs.statSync(each);
    for (const open of each === path.dirname(at) ? [0o777, 0o1777, 0o770] : [0o666, 0o620]) {
      fs.chmodSync(each, open);
      await refused('catalog.foreign', `${each} ${open.toString(8)}`);
    }
    fs.chmodSync(each, mode);
    if (process.getuid?.() !== 0) continue;
    fs.chownSync(each, 4242, 4242);
    await refused('catalog.foreign', each);
    fs.chownSync(each, 0, 0);
  }
  for (const each of files) {
    fs.renameSync(each, path.join(base, 'aside'));
    makeNode(Buffer.from(each), 'fifo');
    await refused('catalog.not_a_file', `${each} fifo`);
    fs.unlinkSync(each);
    fs.symlinkSync(path.join(base, 'aside'), each);
    await refused('catalog.not_a_file', `${each} symlink`);
    fs.unlinkSync(each);
    fs.renameSync(path.join(base, 'aside'), each);
  }
  const { catalog, state } = await openCatalog({ path: at, repositoryId });
  t.equal(state, 'opened');
  await catalog.close();
  fs.chmodSync(base, 0o777);
  await t.rejects(openCatalog({ path: path.join(base, 'new/catalog'), repositoryId }), {
    code: 'catalog.foreign',
  });
  t.notOk(fs.existsSync(path.join(base, 'new')), 'nothing is made there');
});

t.test('read-only: nothing is made, nothing is written', async (t) => {
  const at = path.join(t.testdir(), 'catalog');
  await t.rejects(openCatalog({ path: at, repositoryId, readOnly: true }), { code: 'catalog.missing' });
  await makeCatalog(at);
  const { catalog } = await openCatalog({ path: at, repositoryId, readOnly: true });
  t.equal(catalog.stream(stream)?.head, 4);
  await t.rejects(catalog.ingest(commitOf({ sequence: 5, rows: [] })), { code: 'catalog.denied' });
  await catalog.close();
  fs.writeFileSync(at, 'garbage');
  await t.rejects(openCatalog({ path: at, repositoryId, readOnly: true }), { code: 'catalog.damaged' });
  t.equal(fs.readFileSync(at, 'utf8'), 'garbage');
});

t.test('truncated anywhere: noticed and rebuilt', async (t) => {
  const base = t.testdir();
  const whole = path.join(base, 'whole');
  await makeCatalog(whole);
  const bytes = fs.readFileSync(whole);
  const sizes = [1, 100, 4095, 4096, 4097, 8192, 12288, 20000, 0.3, 0.5, 0.9].map((size) =>
    Math.floor(size < 1 ? bytes.length * size : size),
  );
  const files = sizes.map((size) => {
    const at = path.join(base, `cut-${size}`);
    fs.writeFileSync(at, bytes.subarray(0, size));
    return at;
  });
  const answers = await inChild(files);
  for (const [index, answer] of answers.entries())
    t.match(answer, { state: 'rebuilt', entries: [] }, files[index]!);
});

t.test(
  'garbage anywhere: the right answer, or noticed; never a dead process, never a wrong answer',
  async (t) => {
    const base = t.testdir();
    const whole = path.join(base, 'whole');
    await makeCatalog(whole);
    const bytes = fs.readFileSync(whole);
    let random = 12345;
    const next = (limit: number): number => {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0;
      return Math.floor((random / 2 ** 32) * limit);
    };
    const files = Array.from({ length: 60 }, (_, index) => {
      const copy = Buffer.from(bytes);
      const size = [1, 8, 64, 4096, 40_000][index % 5]!;
      const start = index % 3 === 0 ? next(bytes.length / 4096) * 4096 : next(bytes.length);
      for (let at = start; at < Math.min(start + size, copy.length); at++) copy[at] = next(256);
      const at = path.join(base, `garbage-${index}`);
      fs.writeFileSync(at, copy);
      return at;
    });
    const answers = await inChild(files);
    const noticed = answers.filter(({ state }) => state === 'rebuilt').length;
    const unharmed = answers.filter((answer) => answer.state === 'opened');
    t.equal(answers.length, files.length);
    t.equal(
      noticed + unharmed.length,
      files.length,
      JSON.stringify(answers.filter(({ state }) => state === undefined)),
    );
    t.ok(noticed > files.length / 3, `${noticed} of ${files.length} noticed, the others hit free space`);
    for (const answer of unharmed) t.same(answer.entries, entries);
  },
);

t.test('damage that appears later is an error of its own; removing the catalog helps', async (t) => {
  const at = path.join(t.testdir(), 'catalog');
  await makeCatalog(at);
  const { catalog } = await openCatalog({ path: at, repositoryId });
  const bytes = fs.readFileSync(at);
  const found = bytes.indexOf('file 333\0', 0, 'latin1');
  const descriptor = fs.openSync(at, 'r+');
  for (let spot = found; spot >= 0; spot = bytes.indexOf('file 333\0', spot + 1, 'latin1'))
    fs.writeSync(descriptor, Buffer.from([0xaa]), 0, 1, spot + 40);
  fs.closeSync(descriptor);
  t.throws(() => Array.from(catalog.changes(stream, 0, 3)), { code: 'catalog.damaged', kind: 'damaged' });
  await catalog.close();
  removeCatalog(at);
  const again = await openCatalog({ path: at, repositoryId });
  t.equal(again.state, 'created');
  await again.catalog.close();
});

t.test(
  'killed in the middle of an ingest: the versions before stand, the next ingest just works',
  async (t) => {
    const at = path.join(t.testdir(), 'catalog');
    await makeCatalog(at);
    for (let round = 0; round < 3; round++) {
      const running = spawn(process.execPath, [child, 'ingest', at], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = new Promise((resolve) => running.once('exit', resolve));
      for await (const line of createInterface(running.stdout)) if (line === 'under way') break;
      running.kill('SIGKILL');
      await exited;
    }
    const { catalog, state } = await openCatalog({ path: at, repositoryId });
    t.equal(state, 'opened');
    t.equal(catalog.stream(stream)?.head, 4);
    t.same(
      catalog
        .versions(stream)
        .map(({ header }) => Array.from(catalog.changes(stream, 0, header.sequence)).length),
      entries,
    );
    t.equal(catalog.find(stream, 4, bytesOf('endless')), undefined);
    t.same(catalog.history(stream, bytesOf('endless')), []);
    await catalog.ingest(
      commitOf({
        sequence: 5,
        flavour: 'another',
        rows: [{ op: 'added', path: bytesOf('new'), entry: file('new') }],
      }),
    );
    t.equal(catalog.find(stream, 5, bytesOf('endless')), undefined);
    t.equal(Array.from(catalog.changes(stream, 0, 5)).length, 716);
    await catalog.close();
  },
);
