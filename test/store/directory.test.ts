import { execFile } from 'node:child_process';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { DirectoryStore } from '../../lib/store/directory/index.js';
import { directoryFailure } from '../../lib/store/directory/failure.js';
import type { RrbackupError } from '../../lib/errors/index.js';
import { umount } from '../umount.js';

const run = promisify(execFile);
const x = Buffer.from('x');
const nobody = 65534;
const note = (): void => undefined;

async function prepared(path: string): Promise<DirectoryStore> {
  const store = new DirectoryStore(path);
  await store.prepare({ note });
  return store;
}

async function keysOf(store: DirectoryStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const object of store.list('')) keys.push(object.key);
  return keys;
}

t.test('only the owner may look in', async (t) => {
  const root = join(t.testdir(), 'new', 'repository');
  const store = await prepared(root);
  await store.put('packs/ab/one', x);
  await store.create('streams/s/commits/0000000001', x);
  for (const path of ['', 'packs', 'packs/ab', 'streams/s/commits', '.temporary']) {
    t.equal((await stat(join(root, path))).mode & 0o777, 0o700, `directory ${path}`);
  }
  for (const path of ['packs/ab/one', 'streams/s/commits/0000000001']) {
    t.equal((await stat(join(root, path))).mode & 0o777, 0o600, path);
  }
  t.same(await readdir(join(root, '.temporary')), [], 'no temporary files stay');
});

const crashed = '4711-1-01234567-89ab-cdef-0123-456789abcdef';
const past = new Date(Date.parse('2020-01-01'));

t.test('temporary files are not listed; those of a crash go after a day', async (t) => {
  const young = crashed.replace('4711', '4712');
  const root = t.testdir({ '.temporary': { [crashed]: 'half a pack', [young]: 'half a pack' } });
  await utimes(join(root, '.temporary', crashed), past, past);
  const store = await prepared(root);
  t.same(await readdir(join(root, '.temporary')), [young]);
  t.same(await keysOf(store), []);
  t.same(await store.listPrefixes(''), []);
  for (const key of ['.temporary', `.temporary/${young}`]) {
    await t.rejects(store.get(key), { code: 'store.failed' });
    await t.rejects(store.put(key, x), { code: 'store.failed' });
  }
});

t.test('more than any object has is not read, but a part of it', async (t) => {
  const root = t.testdir({ huge: 'begins like this' });
  await truncate(join(root, 'huge'), 2 ** 32);
  const store = await prepared(root);
  await t.rejects(store.get('huge'), { code: 'store.too_large', kind: 'damaged' });
  t.equal((await store.get('huge', { range: { offset: 0, length: 6 } })).toString(), 'begins');
});

t.test('foreign things are not there for it, and nothing leads out of the root', async (t) => {
  const root = t.testdir({ secret: 'outside', repository: { plain: 'fine', ümlaut: 'foreign' } });
  const store = await prepared(join(root, 'repository'));
  await symlink('../secret', join(root, 'repository', 'link'));
  await symlink('..', join(root, 'repository', 'up'));
  await run('mkfifo', [join(root, 'repository', 'fifo')]);
  t.same(await keysOf(store), ['plain']);
  for (const key of ['link', 'fifo']) {
    await t.rejects(store.get(key), { code: 'store.missing' }, key);
    t.equal(await store.stat(key), undefined);
  }
  await store.put('link', x);
  t.equal(
    await readFile(join(root, 'secret'), 'utf8'),
    'outside',
    'a symlink is replaced, not written through',
  );
});

t.test('directories that were removed come back, a root does not', async (t) => {
  const root = join(t.testdir(), 'repository');
  const store = await prepared(root);
  await store.put('a/b/c', x);
  await rm(join(root, 'a'), { recursive: true });
  await rm(join(root, '.temporary'), { recursive: true });
  await store.put('a/b/c', x);
  t.same(await keysOf(store), ['a/b/c']);
  await rm(root, { recursive: true });
  await t.rejects(store.put('a/b/c', x), {
    code: 'store.failed',
    message: /is not there/,
    guidance: /plugged in/,
  });
  await t.rejects(stat(root), { code: 'ENOENT' });
});

t.test('the root is a file', async (t) => {
  const root = t.testdir({ repository: 'a file' });
  const store = new DirectoryStore(join(root, 'repository'));
  await t.rejects(store.prepare({ note }), { code: 'store.failed', kind: 'store' });
});

t.test('two processes, one directory: one creates, the other finds it', async (t) => {
  const root = join(t.testdir(), 'repository');
  const stores = await Promise.all([prepared(root), prepared(root)]);
  const results = await Promise.allSettled(
    stores.map((store, index) => store.create('a/b/c/d', Buffer.from(`writer ${index}`))),
  );
  t.equal(results.filter((result) => result.status === 'fulfilled').length, 1);
});

t.test('an ordinary user without permission', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'rrbackup-test-'));
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    await chown(root, nobody, nobody);
    process.seteuid?.(nobody);
  }
  try {
    const store = await prepared(root);
    await store.put('kept', x);
    await chmod(join(root, '.temporary'), 0o500);
    await t.rejects(store.put('a', x), { code: 'store.denied', guidance: /permission/ });
    await chmod(join(root, 'kept'), 0o000);
    await t.rejects(store.get('kept'), { code: 'store.denied' });
  } finally {
    if (isRoot) process.seteuid?.(0);
    await chmod(join(root, '.temporary'), 0o700);
    await rm(root, { recursive: true });
  }
});

t.test('a full and a read-only file system', async (t) => {
  const path = await mkdtemp(join(tmpdir(), 'rrbackup-test-'));
  const isMounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', path]).then(
    () => true,
    () => false,
  );
  try {
    if (!isMounted) return t.comment('this user may not mount');
    const store = await prepared(path);
    await store.put('kept', x);
    const large = Buffer.alloc(4 << 20, 1);
    await t.rejects(store.put('large', large), {
      code: 'store.full',
      message: /full/,
      guidance: /make room/,
    });
    await t.rejects(store.create('large', large), { code: 'store.full' });
    t.same(await keysOf(store), ['kept'], 'nothing half is left');
    t.same(await readdir(join(path, '.temporary')), []);
    await run('mount', ['-o', 'remount,ro', path]);
    await t.rejects(store.put('more', x), { code: 'store.read_only', guidance: /mount it writable/ });
    await t.rejects(store.remove('kept', ''), { code: 'store.read_only' });
    t.equal((await store.get('kept')).toString(), 'x');
  } finally {
    if (isMounted) await umount(path);
    await rm(path, { recursive: true });
  }
  return undefined;
});

t.test('a file that is cut while it is read is a short body', async (t) => {
  const root = t.testdir({ repository: {} });
  const store = await prepared(join(root, 'repository'));
  await mkdir(join(root, 'repository', 'a'));
  await writeFile(join(root, 'repository', 'a', 'b'), 'abc');
  await t.rejects(store.get('a/b', { range: { offset: 0, length: 4 } }), { code: 'store.short_body' });
});

t.test('every errno has a sentence and a way out', async (t) => {
  const codes: Record<string, string> = {
    ENOSPC: 'store.full',
    EDQUOT: 'store.full',
    EROFS: 'store.read_only',
    EACCES: 'store.denied',
    EPERM: 'store.denied',
    EIO: 'store.failed',
    EMFILE: 'store.transient',
    EXDEV: 'store.failed',
  };
  for (const [errno, code] of Object.entries(codes)) {
    const error = directoryFailure(
      'directory /x',
      'key',
      Object.assign(new Error('text'), { code: errno }),
    ) as RrbackupError;
    t.equal(error.code, code, errno);
    t.equal(error.kind, 'store');
    t.ok(error.guidance);
    t.match(error.message, 'directory /x');
  }
  const bug = new TypeError('a bug');
  t.equal(directoryFailure('directory /x', 'key', bug), bug);
});
