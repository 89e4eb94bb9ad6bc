// A disk that fails at the n-th call, is full or read-only, too few descriptors, no home: a backup succeeds or says what is
// wrong, and never tells of a version that is not there.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import t from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { backup } from '../../lib/index.js';
import { DirectoryStore } from '../../lib/store/directory/index.js';
import { command, type Home, newHome, outcome } from '../e2e/cli.js';
import { Machine } from '../repository/fixture.js';
import { isRoot } from '../trees.js';
import { standBetween } from './disk.js';

for (const errno of ['EIO', 'ENOSPC', 'EMFILE'] as const) {
  void t.test(`${errno} at the n-th call that writes`, async (t) => {
    const machine = new Machine(t);
    machine.write('first', 'first');
    const store = new DirectoryStore(machine.at('repository'));
    const repository = await machine.open({}, { store });
    await backup(repository, machine.source);
    let version = 1;
    let failed = 0;
    // Every third call, for every test run has to bear it.
    for (let nth = 1; ; nth += 3) {
      machine.write('new', randomBytes(1000));
      let calls = 0;
      const stop = standBetween(t, machine.at('repository'), (_, action) => {
        calls++;
        return calls === nth ? Promise.reject(Object.assign(new Error(errno), { code: errno })) : action();
      });
      const result = await backup(repository, machine.source).catch((error: unknown) => error);
      stop();
      await repository.sync();
      const head = repository.catalog.streams()[0]!.head;
      if (result instanceof Error) {
        failed++;
        t.ok(
          result instanceof RrbackupError && result.guidance !== undefined,
          `call ${nth}: what is wrong, in words`,
        );
      } else t.equal(head, version + 1, `call ${nth}: what is told of is there`);
      if (head > version) version++;
      const again = await backup(repository, machine.source);
      if (again.version !== undefined) t.equal(again.version, ++version);
      t.strictSame(
        await machine.restored(repository, version),
        machine.described(),
        `call ${nth}: the next one`,
      );
      if (calls < nth) break;
    }
    t.ok(failed > 0);
  });
}

/** A home with one file to back up. */
function user(t: Parameters<typeof newHome>[0], environment: NodeJS.ProcessEnv = {}): Home {
  const home = newHome(t, environment);
  fs.mkdirSync(home.at('source'));
  fs.writeFileSync(home.at('source', 'file'), 'content');
  home.configure(
    `[main]\nbase_path: ${home.at('source')}\nencryption: none\n[directory]\npath: ${home.at('repository')}\n`,
  );
  return home;
}

const isThere = async (home: Home): Promise<boolean> => (await home.rr('versions')).status === 0;

void t.test('too few descriptors: a version, or words', async (t) => {
  const home = user(t);
  await home.ok('init');
  for (const limit of [24, 32, 48]) {
    const child = spawn(
      'bash',
      ['-c', `ulimit -n ${limit}; exec "$@"`, '_', process.execPath, command, '-c', home.at('rrbackup.ini')],
      { env: home.environment, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    // What it lacks may come back, so it would wait for that for minutes; it has said so.
    child.stderr.once('data', () => child.kill('SIGTERM'));
    const { status, stderr } = await outcome(child);
    t.equal(status === 0, await isThere(home), `${limit}: ${status} ${stderr}`);
    if (status === 0) break;
    // Where it is Node that cannot start, it has no words.
    if (status !== null) t.not(stderr, '', `${limit}: it says why`);
  }
  if (!(await isThere(home))) await home.ok('backup');
});

void t.test(
  'a cache that cannot be written: a warning, and a version all the same',
  { skip: !isRoot },
  async (t) => {
    const home = user(t);
    await home.ok('backup');
    const cache = home.at('cache');
    execFileSync('mount', ['--bind', cache, cache]);
    execFileSync('mount', ['-o', 'remount,bind,ro', cache]);
    for (const [name, version] of [
      ['second', 2],
      ['third', 3],
    ] as const) {
      fs.writeFileSync(home.at('source', name), name);
      const { status, stdout, stderr } = await home.rr('backup');
      t.equal(status, 0, stderr);
      t.match(stderr, /catalog .* cannot be opened for writing/);
      t.match(stdout, new RegExp(`version ${version}`));
    }
    await home.ok('download', 'latest', home.at('restored'));
    t.strictSame(fs.readdirSync(home.at('restored')).sort(), ['file', 'second', 'third']);
    execFileSync('umount', [cache]);
    t.equal((await home.rr('versions')).stderr, '', 'and nothing is said any more');
  },
);

void t.test(
  'a home that is not there is said before anything is made; without HOME the user database knows',
  async (t) => {
    const home = user(t);
    const { environment } = home;
    const { XDG_STATE_HOME, XDG_CACHE_HOME } = environment;
    delete environment['XDG_STATE_HOME'];
    delete environment['XDG_CACHE_HOME'];
    delete environment['XDG_CONFIG_HOME'];
    environment['HOME'] = '/sys/nowhere';
    const { status, stderr } = await home.rr('backup');
    t.equal(status, 1);
    t.match(stderr, /hint: .*XDG_STATE_HOME/);
    t.notOk(fs.existsSync(home.at('repository', 'rrbackup.json')));
    delete environment['HOME'];
    Object.assign(environment, { XDG_STATE_HOME, XDG_CACHE_HOME });
    await home.ok('backup');
    t.ok(await isThere(home));
  },
);
