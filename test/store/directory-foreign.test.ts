// A directory store on a disk that somebody else writes to: whatever stands in the place of its directories and files, nothing
// outside its root is read, written or deleted, and nothing hangs.

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import promises, {
  chown,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { DirectoryStore } from '../../lib/store/directory/index.js';
import { isRoot, scratchDirectory } from '../trees.js';

const run = promisify(execFile);
const x = Buffer.from('x');
const note = (): void => undefined;
const past = new Date(Date.parse('2020-01-01'));
const crashed = '4711-1-01234567-89ab-cdef-0123-456789abcdef';
const pack = `packs/ab/${'ab'.repeat(32)}`;
const commit = 'streams/s/commits/0000000001';
const [mallory, friend] = [4242, 4243];

/** A store with objects in it, beside a directory of somebody's whose files look as if they were the store's own, and old. */
async function world(t: Test) {
  const scratch = scratchDirectory(t);
  const [root, precious] = [join(scratch, 'repository'), join(scratch, 'precious')];
  const store = new DirectoryStore(root);
  t.teardown(() => store.close());
  await store.prepare({ note });
  for (const key of ['rrbackup.json', 'keys/one', pack, commit]) await store.put(key, x);
  await mkdir(precious);
  for (const name of ['thesis.odt', crashed, 'one', '0000000001', 'ab'.repeat(32)]) {
    await writeFile(join(precious, name), 'precious');
    await utimes(join(precious, name), past, past);
  }
  const before = await described(precious);
  const isUntouched = async (t: Test, what: string): Promise<void> =>
    void t.strictSame(await described(precious), before, `${what}: nothing is changed outside`);
  return { store, root, precious, isUntouched };
}

async function described(directory: string): Promise<string[]> {
  const names = (await readdir(directory)).sort();
  return Promise.all(
    names.map(async (name) => {
      const { ino, mode, uid, size, mtimeMs } = await lstat(join(directory, name));
      return [name, ino, mode, uid, size, mtimeMs, await readFile(join(directory, name), 'utf8')].join(' ');
    }),
  );
}

/** Every call of the contract; what each answers, or its error's code. */
async function everyCall(store: DirectoryStore): Promise<Record<string, string>> {
  const all = async (prefix: string): Promise<string> => {
    const keys: string[] = [];
    for await (const { key } of store.list(prefix)) keys.push(key);
    return keys.join(' ');
  };
  const calls: Record<string, () => Promise<unknown>> = {
    prepare: () => store.prepare({ note }),
    list: () => all(''),
    listPacks: () => all('packs/ab/'),
    prefixes: () => store.listPrefixes('streams/'),
    get: () => store.get(pack),
    getCommit: () => store.get(commit),
    getKey: () => store.get('keys/one'),
    stat: () => store.stat(pack),
    statCommit: () => store.stat(commit),
    put: () => store.put(pack, x),
    putOther: () => store.put(`packs/cd/${'cd'.repeat(32)}`, x),
    putCommit: () => store.put('streams/s/commits/0000000002', x),
    putKey: () => store.put('keys/two', x),
    create: () => store.create('streams/s/commits/0000000003', x),
    probe: () => store.probeConditionalCreate(),
    remove: () => store.remove(pack, ''),
    removeCommit: () => store.remove(commit, ''),
    removeKey: () => store.remove('keys/one', ''),
  };
  const outcomes: Record<string, string> = {};
  for (const [name, call] of Object.entries(calls))
    outcomes[name] = await call().then(String, (error: { code: string; kind: string }) => {
      return error.kind === 'store' || error.kind === 'not_found' ? error.code : `surprise: ${String(error)}`;
    });
  return outcomes;
}

const directories: Record<string, string[]> = {
  '.temporary': ['prepare', 'put', 'putOther', 'putCommit', 'putKey', 'create', 'probe'],
  packs: ['listPacks', 'get', 'stat', 'put', 'putOther', 'remove'],
  'packs/ab': ['listPacks', 'get', 'stat', 'put', 'remove'],
  streams: ['prefixes', 'getCommit', 'statCommit', 'putCommit', 'create', 'removeCommit'],
  'streams/s': ['getCommit', 'statCommit', 'putCommit', 'create', 'removeCommit'],
  'streams/s/commits': ['getCommit', 'statCommit', 'putCommit', 'create', 'removeCommit'],
  keys: ['getKey', 'putKey', 'removeKey'],
};

for (const [directory, refused] of Object.entries(directories)) {
  for (const when of ['before', 'between two calls'] as const)
    t.test(`a symlink in the place of ${directory}, put there ${when}`, async (t) => {
      const { store, root, precious, isUntouched } = await world(t);
      if (when === 'before') await store.close();
      const asked = when === 'before' ? new DirectoryStore(root) : store;
      t.teardown(() => asked.close());
      await rm(join(root, directory), { recursive: true });
      await symlink(precious, join(root, directory));
      const outcomes = await everyCall(asked);
      for (const call of refused.filter((name) => when === 'before' || name !== 'prepare'))
        t.equal(outcomes[call], 'store.symlink', call);
      t.notMatch(JSON.stringify(outcomes), /surprise/);
      await isUntouched(t, directory);
      const words = {
        kind: 'store',
        message: new RegExp(`symbolic link in the place of its directory ${directory}`),
      };
      const asking = async (): Promise<unknown> =>
        directory === '.temporary' ? asked.put(pack, x) : asked.get(keyBelow(directory));
      await t.rejects(asking(), words);
    });
  t.test(`a fifo, and a file, in the place of ${directory}`, async (t) => {
    for (const make of [(at: string) => run('mkfifo', [at]), (at: string) => writeFile(at, 'a file')]) {
      const { store, root, isUntouched } = await world(t);
      await rm(join(root, directory), { recursive: true });
      await make(join(root, directory));
      t.notMatch(JSON.stringify(await everyCall(store)), /surprise/);
      await isUntouched(t, directory);
    }
  });
}

const keyBelow = (directory: string): string =>
  directory === 'keys' ? 'keys/one' : directory.startsWith('packs') ? pack : commit;

t.test('symlinks, fifos and devices in the place of objects', async (t) => {
  const { store, root, precious, isUntouched } = await world(t);
  const at = join(root, pack);
  const makers = [
    () => symlink(join(precious, 'thesis.odt'), at),
    () => run('mkfifo', [at]),
    ...(isRoot ? [() => run('mknod', [at, 'c', '1', '5'])] : []),
    () => mkdir(at),
  ];
  for (const make of makers) {
    await rm(at, { recursive: true, force: true });
    await make();
    await t.rejects(store.get(pack), { code: 'store.missing' });
    t.equal(await store.stat(pack), undefined);
    await store.create(pack, x).catch(() => undefined);
    await store.put(pack, x).catch(() => undefined);
    await isUntouched(t, 'an object');
  }
  t.equal((await lstat(at)).isDirectory(), true, 'a directory is not replaced');
});

t.test('the root may be a symlink that the user has named, and stays what it was', async (t) => {
  const { store, root, precious, isUntouched } = await world(t);
  const named = join(dirname(root), 'named');
  await symlink(root, named);
  const other = new DirectoryStore(named);
  t.teardown(() => other.close());
  t.equal((await other.get(pack)).toString(), 'x');
  await other.put('keys/two', x);
  t.equal((await store.get('keys/two')).toString(), 'x');
  await rename(root, `${root}-away`);
  await symlink(precious, root);
  for (const asked of [store, other]) {
    const outcomes = await everyCall(asked);
    for (const call of ['put', 'create', 'get', 'stat', 'list', 'remove'])
      t.equal(outcomes[call], 'store.symlink', call);
    await isUntouched(t, 'the root');
  }
  await rm(root);
  await rename(`${root}-away`, root);
  t.equal((await store.get(pack)).toString(), 'x', 'back in its place it is used again');
});

t.test('a directory that was moved away is not written to', async (t) => {
  const { store, root } = await world(t);
  await rename(join(root, 'packs'), join(root, '..', 'moved'));
  await t.rejects(store.get(pack), { code: 'store.missing' });
  await store.put(pack, Buffer.from('new'));
  t.equal(await readFile(join(root, pack), 'utf8'), 'new');
  t.equal(await readFile(join(root, '..', 'moved', pack.replace('packs/', '')), 'utf8'), 'x');
});

/** Answers whether it has happened: runs `exchange` once, right before the first call of node:fs/promises by that name whose path fits. */
function before(
  t: Test,
  name: 'link' | 'rename' | 'open' | 'unlink' | 'lstat',
  fits: RegExp,
  exchange: (path: string) => void,
): () => boolean {
  const original = promises[name] as (...args: unknown[]) => Promise<unknown>;
  let isDone = false;
  const replaced = (...args: unknown[]): Promise<unknown> => {
    if (!isDone && fits.test(String(args[0]))) {
      isDone = true;
      exchange(String(args[0]));
    }
    return original(...args);
  };
  const set = (use: unknown): void => {
    Object.assign(promises, { [name]: use });
    syncBuiltinESMExports();
  };
  set(replaced);
  t.teardown(() => set(original));
  return () => isDone;
}

const temporaryFile = /\d+-\d+-[0-9a-f]{8}-/;

for (const [call, name] of [
  ['create', 'link'],
  ['put', 'lstat'],
] as const)
  t.test(`a temporary file that is exchanged before it has its name: ${call}`, async (t) => {
    const { store, isUntouched } = await world(t);
    const isExchanged = before(t, name, temporaryFile, (path) => {
      fs.unlinkSync(path);
      fs.writeFileSync(path, 'evil');
    });
    await t.rejects(store[call]('keys/new', x), { code: 'store.exchanged', kind: 'store' });
    t.ok(isExchanged());
    await isUntouched(t, call);
  });

t.test('the same bytes in another inode are what was written', async (t) => {
  const { store } = await world(t);
  const isExchanged = before(t, 'link', temporaryFile, (path) => {
    fs.unlinkSync(path);
    fs.writeFileSync(path, x);
  });
  await store.create('keys/new', x);
  t.ok(isExchanged());
  t.equal((await store.get('keys/new')).toString(), 'x');
});

t.test('a directory that is exchanged for a symlink while a call is under way', async (t) => {
  for (const directory of ['packs/ab', 'packs', '.temporary']) {
    await t.test(directory, async (t) => {
      const { store, root, precious, isUntouched } = await world(t);
      const isExchanged = before(t, 'rename', temporaryFile, () => {
        fs.renameSync(join(root, directory), join(root, '..', 'moved'));
        fs.symlinkSync(precious, join(root, directory));
      });
      await store.put(pack, Buffer.from('new')).catch(() => undefined);
      t.ok(isExchanged());
      await isUntouched(t, directory);
    });
  }
});

t.test('a sweep removes old files of our own pattern and owner only', async (t) => {
  const { store, root, precious } = await world(t);
  await store.close();
  const at = (name: string): string => join(root, '.temporary', name);
  const other = (digit: number): string => crashed.replace('4711', `${digit}`);
  for (const name of [
    'thesis.odt',
    '2024-12-documents',
    `${crashed}.odt`,
    `x${crashed}`,
    crashed,
    other(1),
    other(2),
  ]) {
    await writeFile(at(name), 'text');
    await utimes(at(name), past, past);
  }
  if (isRoot) await chown(at(other(1)), mallory, mallory);
  await mkdir(at(other(3)));
  await symlink(join(precious, 'thesis.odt'), at(other(4)));
  await run('touch', ['-h', '-d', '2020-01-01', at(other(4)), at(other(3))]);
  const again = new DirectoryStore(root);
  t.teardown(() => again.close());
  await again.prepare({ note });
  const kept = [other(3), other(4), '2024-12-documents', `${crashed}.odt`, 'thesis.odt', `x${crashed}`];
  if (isRoot) kept.push(other(1));
  t.same((await readdir(join(root, '.temporary'))).sort(), kept.sort());
  t.equal((await again.get('keys/one')).toString(), 'x');
});

t.test('hard links: what is stored or removed leaves the other name as it is', async (t) => {
  const { store, root, precious, isUntouched } = await world(t);
  for (const act of [() => store.put(pack, Buffer.from('new')), () => store.remove(pack, '')]) {
    await rm(join(root, pack));
    await link(join(precious, 'thesis.odt'), join(root, pack));
    await act();
    await isUntouched(t, 'a hard link');
    await store.put(pack, x);
  }
});

t.test('root uses a store of another user', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const { store, root } = await world(t);
  await store.close();
  await run('chown', ['-R', `${friend}:${friend}`, root]);
  const again = new DirectoryStore(root);
  t.teardown(() => again.close());
  const outcomes = await everyCall(again);
  t.strictSame(
    Object.entries(outcomes).filter(([, outcome]) => outcome.startsWith('store.')),
    [],
  );
});

t.test('no descriptor stays open', { skip: process.platform !== 'linux' }, async (t) => {
  const { store, root } = await world(t);
  const open = (): string[] =>
    fs.readdirSync('/proc/self/fd').flatMap((name) => {
      try {
        return [fs.readlinkSync(`/proc/self/fd/${name}`)].filter((target) => target.startsWith(root));
      } catch {
        return [];
      }
    });
  for (let fan = 0; fan < 200; fan++) await store.put(`packs/${fan}/pack`, x);
  await Promise.all(Array.from({ length: 200 }, (_, fan) => store.get(`packs/${fan}/pack`)));
  for await (const { key } of store.list('packs/')) if (key.includes('/7/')) break;
  t.ok(open().length <= 70, `${open().length} while it is used`);
  await store.close();
  t.strictSame(open(), []);
});
