// Several writers: for one source on one machine, on machines that take each other for the same, and beside one another in a
// bucket. Nobody's version is lost or hidden, and nobody's lock needs a person.

import fs from 'node:fs';
import t, { type Test } from 'tap';
import { cryptoReady } from '../../lib/crypto/index.js';
import { backup } from '../../lib/index.js';
import { packsPrefix } from '../../lib/pack/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import type { Call, StoredObject } from '../../lib/store/types.js';
import { type Home, newHome, outcome } from '../e2e/cli.js';
import { added, collect, headerOf, manifestContext, readHistory, writeCommit } from '../manifest/fixture.js';
import { Machine } from '../repository/fixture.js';
import { runs } from '../runs.js';
import { s3Server } from '../s3-server.js';

/** A machine of its own that shares a repository in a directory. */
function machine(t: Test, repository: string, content: string): Home {
  const home = newHome(t, {}, 'here');
  fs.mkdirSync(home.at('source'));
  fs.writeFileSync(home.at('source', 'file'), content);
  home.configure(
    `[main]\nbase_path: ${home.at('source')}\nhost: same\nencryption: none\n[directory]\npath: ${repository}\n`,
  );
  return home;
}

interface Listed {
  readonly version: number;
}

const versions = async (home: Home): Promise<number[]> =>
  (JSON.parse(await home.ok('versions', '--json')) as Listed[])
    .map(({ version }) => version)
    .sort((a, b) => a - b);

void t.test('32 writers race for one commit after the other until each has made its own', async (t) => {
  await cryptoReady();
  for (let round = 1; round <= runs(1).numRuns; round++) {
    const context = await manifestContext();
    const told = await Promise.all(Array.from({ length: 32 }, (_, writer) => commitsOwn(context, writer)));
    const { commits, hashes, code } = await readHistory(context);
    t.equal(code, undefined);
    t.equal(commits.length, 32, 'one chain, and nobody is missing');
    for (const [writer, { sequence, hash }] of told.entries()) {
      t.equal(hashes[sequence - 1], hash, 'who was told of success stands there');
      const rows = await collect(commits[sequence - 1]!.rows());
      t.equal(Buffer.from(rows[0]!.path).toString(), `of writer ${writer}`);
    }
  }
});

/** Tries, looks who was faster, and tries again behind them. */
async function commitsOwn(
  context: Awaited<ReturnType<typeof manifestContext>>,
  writer: number,
): Promise<{ sequence: number; hash: string }> {
  const run = String(writer).padStart(32, '0');
  let head = { sequence: 0, hash: '', run: '' };
  for (;;) {
    const sequence = head.sequence + 1;
    for (let turns = Math.random() * 200; turns > 0; turns--) await Promise.resolve();
    try {
      const header = headerOf(sequence, head.hash, { run, parentRun: head.run });
      const { hash } = await writeCommit(context, header, [added(`of writer ${writer}`)]);
      return { sequence, hash };
    } catch (error) {
      if ((error as { code?: string }).code !== 'manifest.lost_race') throw error;
      const { commits } = await readHistory(context, head.sequence === 0 ? undefined : head);
      const newest = commits.at(-1);
      if (newest !== undefined) {
        const { header, hash } = newest;
        head = { sequence: header.sequence, hash, run: header.run };
      }
    }
  }
}

void t.test(
  'the last pack of another machine of this name, which commits a moment later, is no alarm',
  async (t) => {
    const one = new Machine(t);
    const two = new Machine(t, one.store);
    one.write('one', '1');
    two.write('two', '2');
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let arrive = (): void => undefined;
    const arrived = new Promise<void>((resolve) => (arrive = resolve));

    class Waiting extends FaultStore {
      override async create(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
        if (key.includes('/commits/')) {
          arrive();
          await released;
        }
        return super.create(key, bytes, call);
      }
    }
    const first = backup(await one.open({}, { store: new Waiting(one.store, []) }), one.source);

    class Looking extends FaultStore {
      #hasLooked = false;

      override async *list(...args: Parameters<FaultStore['list']>): AsyncIterable<StoredObject> {
        if (args[0] === packsPrefix) this.#hasLooked = true;
        yield* super.list(...args);
      }

      override async listPrefixes(...args: Parameters<FaultStore['listPrefixes']>): Promise<string[]> {
        if (this.#hasLooked) {
          release();
          await first;
        }
        return super.listPrefixes(...args);
      }
    }
    await arrived;
    const repository = await two.open({}, { store: new Looking(two.store, []) });
    t.match(await backup(repository, two.source), { version: 2 });
    t.match(await first, { version: 1 });
    t.strictSame(await two.restored(repository, 2), two.described());
  },
);

void t.test('three commands at once, on three machines of one name', async (t) => {
  const place = newHome(t).at('repository');
  const homes = ['0', '1', '2'].map((content) => machine(t, place, content));
  for (const home of homes) {
    await home.ok('backup');
    fs.appendFileSync(home.at('source', 'file'), ' and more');
  }
  const results = await Promise.all(homes.map((home) => outcome(home.start('backup'))));
  for (const { status, stderr } of results) t.equal(status, 0, stderr);
  const [reader] = homes;
  t.strictSame(await versions(reader!), [1, 2, 3, 4, 5, 6]);
  const found: string[] = [];
  for (const version of [4, 5, 6]) {
    const target = reader!.at(`restored-${version}`);
    await reader!.ok('download', `${version}`, target);
    found.push(fs.readFileSync(`${target}/file`, 'utf8'));
  }
  const wanted = ['0', '1', '2'].map((content) => `${content} and more`);
  t.strictSame(found.sort(), wanted, 'every one is there, unchanged');
});

void t.test(
  'two commands for one source: the second says who is at work, and a dead one is no obstacle',
  async (t) => {
    const home = newHome(t, {}, 'here');
    fs.mkdirSync(home.at('source'));
    fs.writeFileSync(home.at('source', 'file'), 'content');
    // It says that it holds the lock, and goes no further.
    const hang = `
    import fs from 'node:fs';
    const { existsSync } = fs;
    const { ftruncateSync } = fs;
    fs.ftruncateSync = (...args) => {
      ftruncateSync(...args);
      setImmediate(() => {
        fs.writeSync(2, 'locked');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });
    };`;
    home.configure(
      `[main]\nbase_path: ${home.at('source')}\nencryption: none\n[directory]\npath: ${home.at('repository')}\n`,
    );
    await home.ok('backup');
    fs.writeFileSync(home.at('source', 'file'), 'new content');
    home.environment['NODE_OPTIONS'] = `--import=data:text/javascript,${encodeURIComponent(hang)}`;
    const first = home.start('backup');
    delete home.environment['NODE_OPTIONS'];
    const ended = outcome(first);
    await new Promise((resolve) => first.stderr!.once('data', resolve));
    const second = await home.rr('backup');
    t.equal(second.status, 11);
    t.match(
      second.stderr,
      new RegExp(`another backup of source is running on this machine \\(process ${first.pid}\\)`),
    );
    t.match(second.stderr, /hint: wait/);
    t.equal((await home.rr('versions')).status, 0, 'who reads is not held up');
    first.kill('SIGKILL');
    await ended;
    await home.ok('backup');
    t.strictSame(await versions(home), [1, 2]);
  },
);

void t.test('a machine put back from an old image is told, and goes on', async (t) => {
  const home = newHome(t, {}, 'here');
  const place = newHome(t).at('repository');
  fs.mkdirSync(home.at('source'));
  home.configure(`[main]\nbase_path: ${home.at('source')}\nencryption: none\n[directory]\npath: ${place}\n`);
  const write = (content: string): void => fs.writeFileSync(home.at('source', 'file'), content);
  write('1');
  await home.ok('backup');
  const image = home.at('image');
  for (const name of ['state', 'cache']) fs.cpSync(home.at(name), `${image}/${name}`, { recursive: true });
  write('2');
  await home.ok('backup');
  write('3');
  await home.ok('backup');
  for (const name of ['state', 'cache', 'source']) fs.rmSync(home.at(name), { recursive: true });
  for (const name of ['state', 'cache']) fs.cpSync(`${image}/${name}`, home.at(name), { recursive: true });
  fs.mkdirSync(home.at('source'));
  write('of the image');
  const result = await home.rr('backup');
  t.equal(result.status, 0, result.stderr);
  t.match(`${result.stdout}${result.stderr}`, /version 4/, 'it says that it is at version 4 now');
  t.strictSame(await versions(home), [1, 2, 3, 4]);
  await home.ok('download', '3', home.at('restored'));
  t.equal(fs.readFileSync(home.at('restored', 'file'), 'utf8'), '3');
});

void t.test('repositories under several prefixes of one bucket never meet', async (t) => {
  const server = await s3Server(t);
  if (server === undefined) return;
  const bucket = await server.newBucket();
  const { endpoint, accessKey, secretKey } = server;
  const homes = ['a', 'ab', 'a/b'].map((prefix) => {
    const home = newHome(t, {}, 'here');
    fs.mkdirSync(home.at('source'));
    fs.writeFileSync(home.at('source', 'file'), prefix);
    const keys = `access_key: ${accessKey}\nsecret_key: ${secretKey}\n`;
    home.configure(
      `[main]\nbase_path: ${home.at('source')}\nhost: same\nencryption: none\n` +
        `[s3]\nbucket: ${bucket}\nendpoint: ${endpoint}\nprefix: ${prefix}\n${keys}`,
    );
    return { home, prefix };
  });
  for (const { home } of homes) t.match(await home.ok('backup'), /version 1:/);
  for (const { home, prefix } of homes) {
    await home.ok('download', '1', home.at('restored'));
    t.equal(fs.readFileSync(home.at('restored', 'file'), 'utf8'), prefix);
  }
});
