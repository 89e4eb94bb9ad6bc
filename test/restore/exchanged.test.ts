// As root into a directory of another user, who exchanges what stands there between any two calls: nothing outside is changed, and
// nothing of theirs becomes root's or gains rights (scenario 30 of TESTING.md).

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { setModified } from '../../lib/posix/attributes.js';
import { makeNode } from '../../lib/posix/nodes.js';
import { type RestoreOptions, type RestoreResult, restore } from '../../lib/restore/index.js';
import { Target } from '../../lib/restore/target.js';
import { isRoot, scratchDirectory } from '../trees.js';
import { afterCall, exchangeAll, mallory, nth, stateOf } from './attacker.js';
import { MemoryRepository } from './memory-repository.js';

t.setTimeout(120_000);

const skip = isRoot ? false : 'only root writes into directories of others';
const time_ns = 1_600_000_000_123_456_789n;
const MiB = 1 << 20;

/** Of another user, but for a program of root's. */
function fill(directory: string): void {
  fs.mkdirSync(path.join(directory, 'sub'), { recursive: true });
  for (const name of ['file', 'program', 'sub/inside', 'large', 'large program'])
    fs.writeFileSync(path.join(directory, name), `content of ${name}`);
  for (const name of ['large', 'large program']) fs.truncateSync(path.join(directory, name), 9 * MiB);
  fs.symlinkSync('file', path.join(directory, 'link'));
  makeNode(Buffer.from(path.join(directory, 'pipe')), 'fifo');
  const names = ['file', 'program', 'sub/inside', 'large', 'large program', 'link', 'pipe', 'sub', ''];
  for (const name of names) {
    const at = path.join(directory, name);
    fs.lchownSync(at, mallory, mallory);
    setModified(Buffer.from(at), time_ns);
  }
}

/** What is put at a name in place of what stood there. */
const exchanges = {
  symlinks:
    ({ shadow, etc }: Places) =>
    (at: string) =>
      fs.symlinkSync(path.basename(at) === 'sub' ? etc : shadow, at),
  'hard links':
    ({ shadow, evil }: Places) =>
    (at: string) =>
      fs.linkSync(/program/.test(at) ? evil : shadow, at),
  "a directory of root's":
    ({ etc }: Places) =>
    (at: string) => {
      if (fs.existsSync(etc) && path.basename(at) === 'sub') fs.renameSync(etc, at);
    },
};

interface Places {
  readonly shadow: string;
  readonly etc: string;
  readonly evil: string;
}

const ways: [what: string, standing: boolean, options: Partial<RestoreOptions>][] = [
  ['into an empty directory', false, {}],
  ['over what is there', true, {}],
  ['in place', true, { inPlace: true }],
];

for (const [what, isStanding, options] of ways)
  for (const [kind, exchange] of Object.entries(exchanges))
    void t.test(`${what}: ${kind}`, { skip }, async (t) => {
      const scratch = scratchDirectory(t);
      const source = path.join(scratch, 'source');
      fill(source);
      for (const name of ['program', 'large program']) {
        fs.chownSync(path.join(source, name), 0, 0);
        fs.chmodSync(path.join(source, name), 0o4755);
        setModified(Buffer.from(path.join(source, name)), time_ns);
      }
      fs.chmodSync(path.join(source, 'file'), 0o666);
      const repository = new MemoryRepository();
      repository.add(source, 1);
      const wrong: string[] = [];
      let isReached = true;
      let n = 0;
      while (isReached) {
        n++;
        const root = path.join(scratch, `${n}`);
        const target = path.join(root, 'target');
        const aside = path.join(root, 'aside');
        const places = {
          shadow: path.join(root, 'shadow'),
          etc: path.join(root, 'etc'),
          evil: path.join(root, 'evil'),
        };
        fs.mkdirSync(aside, { recursive: true });
        fs.mkdirSync(places.etc, { mode: 0o700 });
        fs.writeFileSync(path.join(places.etc, 'secret'), 'secret');
        // With the content and the time of the version they could be taken for what is to be put back.
        fs.writeFileSync(places.shadow, 'content of file', { mode: 0o600 });
        fs.writeFileSync(places.evil, 'content of program', { mode: 0o600 });
        fs.chownSync(places.evil, mallory, mallory);
        for (const file of [places.shadow, places.evil]) setModified(Buffer.from(file), time_ns);
        if (isStanding) fill(target);
        else fs.mkdirSync(target);
        if (options.inPlace) fs.writeFileSync(path.join(target, 'file'), 'to be changed');
        fs.chownSync(target, mallory, mallory);
        const before = [places.shadow, places.evil].map((file) => JSON.stringify(stateOf(file), toText));
        const { ino: secret } = fs.lstatSync(places.etc);

        isReached = await afterCall(
          nth(n),
          () => exchangeAll(target, aside, exchange(places)),
          () =>
            restore({
              repository,
              stream: 's',
              sequence: 1,
              target,
              intoForeign: true,
              overwrite: true,
              ...options,
            }).catch(() => undefined),
        );
        const after = [places.shadow, places.evil].map((file) => JSON.stringify(stateOf(file), toText));
        const [etc] = [places.etc, path.join(target, 'sub')].filter(
          (at) => fs.lstatSync(at, { throwIfNoEntry: false })?.ino === secret,
        );
        const { uid, mode } = fs.lstatSync(etc!);
        const isSecret = uid === 0 && mode === 0o40700 && fs.readdirSync(etc!).includes('secret');
        if (!isSecret || after.join() !== before.join()) wrong.push(`after call ${n}: ${after.join()}`);
        fs.rmSync(root, { recursive: true });
      }
      t.strictSame(wrong, []);
      t.ok(n > 20, `${n} calls`);
    });

function toText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

void t.test('what is exchanged right before it gets its name is told', { skip }, async (t) => {
  const { target, aside, put } = small(t, (source) => fs.writeFileSync(path.join(source, 'file'), 'content'));
  const evil = path.join(aside, 'evil');
  fs.writeFileSync(evil, 'evil');
  let result: RestoreResult | undefined;
  const isReached = await afterCall(
    (call) => call === 'writeSync',
    () => exchangeAll(target, aside, (at) => fs.linkSync(evil, at)),
    async () => (result = await put()),
  );
  t.ok(isReached);
  t.match(result, { failed: 1, files: 0 });
});

void t.test('no hard link to what somebody has put at the first name', { skip }, async (t) => {
  const { target, aside, put } = small(t, (source) => {
    fs.writeFileSync(path.join(source, 'a first'), 'content');
    fs.writeFileSync(path.join(source, 'between'), 'another');
    fs.linkSync(path.join(source, 'a first'), path.join(source, 'second'));
  });
  let result: RestoreResult | undefined;
  let written = 0;
  const isReached = await afterCall(
    (call) => call === 'writeSync' && ++written === 2,
    () => {
      fs.renameSync(path.join(target, 'a first'), path.join(aside, 'a first'));
      fs.writeFileSync(path.join(target, 'a first'), 'evil');
      fs.chownSync(path.join(target, 'a first'), mallory, mallory);
    },
    async () => (result = await put()),
  );
  t.ok(isReached);
  t.match(result, { failed: 0, inexact: 1, files: 3 });
  t.equal(fs.readFileSync(path.join(target, 'second'), 'utf8'), 'content');
});

void t.test('a directory that is exchanged while it is closed is not gone on with', { skip }, (t) => {
  const scratch = scratchDirectory(t);
  const target = new Target(path.join(scratch, 'target'), { intoForeign: false });
  t.teardown(() => target.close());
  const at = path.join(scratch, 'target', 'sub');
  fs.mkdirSync(at);
  const directory = target.root.child(Buffer.from('sub'));
  directory.expect(fs.lstatSync(at, { bigint: true }));
  t.ok(directory.held());
  directory.release();
  fs.renameSync(at, `${at} aside`);
  fs.mkdirSync(at);
  t.throws(() => directory.held(), { code: 'restore.exchanged' });
  t.end();
});

/** Into a directory of another user. */
function small(
  t: Parameters<typeof scratchDirectory>[0],
  fill: (source: string) => void,
): { target: string; aside: string; put: () => Promise<RestoreResult> } {
  const scratch = scratchDirectory(t);
  const [source, target, aside] = ['source', 'target', 'aside'].map((name) => path.join(scratch, name));
  for (const directory of [source!, target!, aside!]) fs.mkdirSync(directory);
  fill(source!);
  fs.chownSync(target!, mallory, mallory);
  const repository = new MemoryRepository();
  repository.add(source!, 1);
  const put = () =>
    restore({ repository, stream: 's', sequence: 1, target: target!, intoForeign: true, paths: ['*'] });
  return { target: target!, aside: aside!, put };
}
