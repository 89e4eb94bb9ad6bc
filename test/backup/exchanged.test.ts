// What is exchanged for something else between two of a backup's looks at it, as whoever may write into the source can do at any
// moment: nothing from elsewhere is ever read, what was exchanged is named, and stays as it was in the version before.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { Agenda } from '../../lib/backup/agenda.js';
import { Comparison, type CompareOptions } from '../../lib/backup/compare.js';
import { type Findings, type Found, type Place, rootPlace } from '../../lib/backup/findings.js';
import { backup, previewBackup } from '../../lib/index.js';
import { OpenDirectory } from '../../lib/posix/directory.js';
import type { NameList } from '../../lib/posix/name-list.js';
import { makeNode } from '../../lib/posix/nodes.js';
import type { FileStatus } from '../../lib/posix/status.js';
import { Machine } from '../repository/fixture.js';
import { runBackupsHere } from '../simulation/threads-here.js';
import { isRoot, scratchDirectory } from '../trees.js';
import { optionsFor, remember } from './findings.js';

runBackupsHere();

/** Everything that is told, as 'kind path', with a symlink's target; `before` is called with each place that comes next. */
function told(options: CompareOptions, before: (place: Place) => void = () => undefined): string[] {
  const all: string[] = [];
  const ahead: Place[] = [rootPlace];
  const onDisk =
    (kind: string) =>
    ({ path, target }: Found): unknown =>
      all.push(`${kind} ${path.toString()}${target.length > 0 ? ` -> ${target.toString()}` : ''}`);
  const findings: Findings = {
    added: onDisk('added'),
    changed: onDisk('changed'),
    metadata: onDisk('metadata'),
    removed: (path) => all.push(`removed ${path.toString()}`),
    unchanged: () => undefined,
    kept: (previous) => all.push(`kept ${previous.entry().name.toString()}`),
    unreadable: (path, reason) => all.push(`unreadable ${path.toString()}: ${reason}`),
    below: (place) => ahead.push(place),
    stillThere: () => undefined,
    isEnough: () => false,
  };
  const comparison = new Comparison(options);
  for (let place = ahead.pop(); place; place = ahead.pop()) {
    before(place);
    comparison.compare(place, findings);
  }
  return all;
}

const replaced = 'it was replaced by something else while the backup ran';

/** A tree a/b/c/d of mallory's, and beside it what she wants to have read: the same tree with a secret. */
function trees(t: Test): { root: string; elsewhere: string; away: string } {
  const scratch = scratchDirectory(t);
  const [root, elsewhere] = [path.join(scratch, 'source'), path.join(scratch, 'elsewhere')];
  for (const [top, name] of [
    [root, 'own'],
    [elsewhere, 'secret'],
  ] as const) {
    fs.mkdirSync(path.join(top, 'a/b/c/d'), { recursive: true });
    fs.writeFileSync(path.join(top, 'a/b/c/d', name), name);
  }
  return { root, elsewhere, away: path.join(scratch, 'away') };
}

const replacements: Readonly<Record<string, (at: string, instead: string) => void>> = {
  'a symlink': (at, instead) => fs.symlinkSync(instead, at),
  'another directory': (at, instead) => fs.renameSync(instead, at),
  'a file': (at) => fs.writeFileSync(at, 'secret'),
  'a fifo': (at) => makeNode(Buffer.from(at), 'fifo'),
};

t.test('a directory, or one on the way to it, before it is entered', (t) => {
  for (const [what, replace] of Object.entries(replacements))
    for (const exchanged of ['a', 'a/b', 'a/b/c', 'a/b/c/d'])
      for (const isKnown of [false, true]) {
        const { root, elsewhere, away } = trees(t);
        const options = optionsFor(root, isKnown ? { catalog: remember(root), previous: 1 } : {});
        const all = told(options, ({ path: next, kind }) => {
          if (kind !== 'scan' || Buffer.from(next).toString() !== 'a/b/c/d') return;
          fs.renameSync(path.join(root, exchanged), away);
          replace(path.join(root, exchanged), path.join(elsewhere, exchanged));
        });
        const which = `${exchanged} becomes ${what}${isKnown ? ', in a later run' : ''}`;
        t.ok(all.includes(`unreadable a/b/c/d: ${replaced}`), which);
        t.notOk(
          all.some((text) => text.includes('secret')),
          which,
        );
        if (isKnown) t.strictSame(all.slice(-1), ['kept own'], which);
        else
          t.notOk(
            all.some((text) => text.includes('own')),
            which,
          );
      }
  t.end();
});

t.test('a directory that is moved away is gone, as one that was removed', (t) => {
  const { root, away } = trees(t);
  const all = told(optionsFor(root, { catalog: remember(root), previous: 1 }), ({ path: next, kind }) => {
    if (kind === 'scan' && Buffer.from(next).toString() === 'a/b/c')
      fs.renameSync(path.join(root, 'a/b'), away);
  });
  t.strictSame(all, ['removed a/b/c/d', 'removed a/b/c/d/own']);
  t.end();
});

t.test(
  'a directory that only looks like the one that was listed, or has another inode number by now',
  (t) => {
    const { root } = trees(t);
    const options = optionsFor(root, { catalog: remember(root), previous: 1 });
    const places: Place[] = [];
    told(options, (place) => places.push(place));
    const place = places.find(({ path }) => Buffer.from(path).toString() === 'a/b/c/d')!;
    const reports = (change: Partial<NonNullable<Place['seen']>>): boolean => {
      let isReported = false;
      const findings = new Proxy({} as Findings, {
        get: (_, name) => () => void (isReported ||= name === 'unreadable'),
      });
      new Comparison(options).compare({ ...place, seen: { ...place.seen!, ...change } }, findings);
      return isReported;
    };
    const { seen } = place;
    const inodeLow = seen!.inodeLow + 1;
    t.ok(reports({ inodeLow }), 'another one, however alike');
    t.intercept(OpenDirectory.prototype, 'hasPassingInodes', { value: () => true });
    t.notOk(reports({}));
    t.notOk(reports({ mode: seen!.mode ^ 1, uid: 7, gid: 7, ctime_s: 0 }), 'the same one, changed meanwhile');
    t.notOk(reports({ inodeLow }), 'a file system that forgets inode numbers');
    for (const change of [
      { ctime_s: 0 },
      { ctimeRest_ns: 1 },
      { mode: 0 },
      { uid: 77 },
      { gid: 77 },
      { deviceLow: 1 },
    ])
      t.ok(reports({ inodeLow, ...change }), JSON.stringify(change));
    t.ok(reports({ deviceLow: seen!.deviceLow + 1 }), 'another file system');
    t.end();
  },
);

t.test('which directory is open is told, for whoever ends the thread in its middle', (t) => {
  const { root } = trees(t);
  const tree = optionsFor(root);
  let open: number | undefined;
  const seen: (string | undefined)[] = [];
  const options = { ...tree, onDescriptor: (fd: number | undefined) => void (open = fd) };
  const findings = {
    added: () => seen.push(open === undefined ? open : fs.readlinkSync(`/proc/self/fd/${open}`)),
    below: (place: Place) => ahead.push(place),
    stillThere: () => undefined,
    isEnough: () => false,
  } as unknown as Findings;
  const ahead: Place[] = [rootPlace];
  const comparison = new Comparison(options);
  for (let place = ahead.pop(); place; place = ahead.pop()) {
    comparison.compare(place, findings);
    t.equal(open, undefined);
  }
  const real = fs.realpathSync(root);
  // The root's own descriptor is the run's.
  t.strictSame(seen, [
    undefined,
    undefined,
    ...['a', 'a/b', 'a/b/c', 'a/b/c/d'].map((name) => `${real}/${name}`),
  ]);
  t.end();
});

/** Right after the status of `name` was taken, `act` happens, once. */
function afterLook(t: Test, name: string, act: () => void): void {
  let isDone = false;
  const { look } = OpenDirectory.prototype;
  t.intercept(OpenDirectory.prototype, 'look', {
    value: function (this: OpenDirectory, names: NameList, index: number, into: FileStatus): boolean {
      const isThere = look.call(this, names, index, into);
      if (!isDone && names.name(index).toString() === name) {
        isDone = true;
        act();
      }
      return isThere;
    },
  });
}

t.test('what is no file, between its status and its attributes', (t) => {
  const make: Readonly<Record<string, (at: string) => void>> = {
    directory: (at) => {
      fs.mkdirSync(at);
      fs.writeFileSync(path.join(at, 'own'), 'own');
    },
    symlink: (at) => fs.symlinkSync('own', at),
    fifo: (at) => makeNode(Buffer.from(at), 'fifo'),
  };
  const instead: typeof make = {
    'another directory': (at) => {
      fs.mkdirSync(at);
      fs.writeFileSync(path.join(at, 'secret'), 'secret');
    },
    'another symlink': (at) => fs.symlinkSync('secret', at),
    'a file': (at) => fs.writeFileSync(at, 'secret'),
  };
  for (const [type, makeIt] of Object.entries(make))
    for (const [becomes, replace] of Object.entries(instead))
      for (const isKnown of [false, true])
        void t.test(`${type}, ${becomes}${isKnown ? ', known' : ''}`, (t) => {
          const root = scratchDirectory(t);
          makeIt(path.join(root, 'entry'));
          const catalog = remember(root);
          // Its status differs from the version before.
          fs.lutimesSync(path.join(root, 'entry'), 1, 1);
          afterLook(t, 'entry', () => {
            fs.renameSync(path.join(root, 'entry'), `${root}-away`);
            replace(path.join(root, 'entry'));
          });
          t.teardown(() => fs.rmSync(`${root}-away`, { recursive: true }));
          const all = told(optionsFor(root, isKnown ? { catalog, previous: 1 } : {}));
          const wanted = isKnown
            ? [`unreadable entry: ${replaced}`, 'kept entry']
            : [`unreadable entry: ${replaced}`];
          if (isKnown && type === 'directory') wanted.push('kept own');
          t.strictSame(
            all.filter((text) => !/^(added|metadata) $/.test(text)),
            wanted,
          );
          t.end();
        });
  t.end();
});

/** Right before the file `name` is opened, `act` happens, once. */
function beforeOpen(t: Test, name: string, act: () => void): void {
  let isDone = false;
  const { open } = OpenDirectory.prototype;
  t.intercept(OpenDirectory.prototype, 'open', {
    value: function (this: OpenDirectory, names: NameList, index: number): number {
      if (!isDone && names.name(index).toString() === name) {
        isDone = true;
        act();
      }
      return open.call(this, names, index);
    },
  });
}

void t.test('a file, between its status and its opening', async (t) => {
  const becomes: Record<string, (at: string, secret: string) => void> = {
    symlink: (at, secret) => fs.symlinkSync(secret, at),
    fifo: (at) => makeNode(Buffer.from(at), 'fifo'),
    socket: (at) => makeNode(Buffer.from(at), 'socket'),
    directory: (at) => fs.mkdirSync(at),
    ...(isRoot
      ? { device: (at) => makeNode(Buffer.from(at), 'character-device', 1, 5) }
      : ({} satisfies object)),
  };
  for (const [what, replace] of Object.entries(becomes))
    for (const isKnown of [false, true])
      await t.test(`${what}${isKnown ? ', known' : ''}`, async (t) => {
        const machine = new Machine(t);
        machine.write('other', 'other');
        const repository = await machine.open();
        if (isKnown) {
          machine.write('file', 'first');
          await backup(repository, machine.source);
        }
        machine.write('file', 'second');
        fs.writeFileSync(machine.at('secret'), 'secret');
        beforeOpen(t, 'file', () => {
          fs.rmSync(machine.at('source', 'file'));
          replace(machine.at('source', 'file'), machine.at('secret'));
        });
        const { unreadable } = await backup(repository, machine.source);
        t.strictSame(
          unreadable.map(({ path, reason }) => [Buffer.from(path).toString(), reason]),
          [['file', replaced]],
        );
        const stream = repository.streamId(machine.source.name);
        const { head } = repository.catalog.stream(stream)!;
        const kept = repository.catalog.find(stream, head, Buffer.from('file'));
        t.equal(kept?.entry.size_bytes, isKnown ? 'first'.length : undefined);
      });
});

void t.test('a file that is exchanged for another one is stored as that, not half of each', async (t) => {
  for (const content of ['other', 'longer than it was', '']) {
    const machine = new Machine(t);
    machine.write('file', 'first');
    fs.chmodSync(machine.at('source', 'file'), 0o644);
    machine.write('new', content);
    fs.chmodSync(machine.at('source', 'new'), 0o600);
    fs.utimesSync(machine.at('source', 'new'), 1, 1);
    await t.test(content, async (t) => {
      const repository = await machine.open();
      beforeOpen(t, 'file', () => fs.renameSync(machine.at('source', 'new'), machine.at('source', 'file')));
      await backup(repository, machine.source);
      const [, stored] = await machine.restored(repository, 1);
      t.equal(stored, machine.described()[1]);
    });
  }
});

void t.test('after the first look, before the workers come to it', async (t) => {
  const machine = new Machine(t);
  machine.write('x/Documents/diary', 'mine');
  machine.write('x/other', 'mine');
  fs.mkdirSync(machine.at('alice/Documents'), { recursive: true });
  fs.writeFileSync(machine.at('alice/Documents/diary'), 'secret');
  const repository = await machine.open();
  await backup(repository, machine.source);
  fs.writeFileSync(machine.at('source', 'x/Documents/diary'), 'mine, changed');
  // The first look leaves the directory that differs to the workers.
  const { take } = Agenda.prototype;
  let isDone = false;
  t.intercept(Agenda.prototype, 'take', {
    value: function (this: Agenda, ...given: Parameters<typeof take>): ReturnType<typeof take> {
      if (!isDone) {
        isDone = true;
        fs.renameSync(machine.at('source', 'x'), machine.at('source', 'y'));
        fs.symlinkSync(machine.at('alice'), machine.at('source', 'x'));
      }
      return take.apply(this, given);
    },
  });
  const result = await backup(repository, machine.source);
  t.ok(isDone);
  t.match(result, { version: undefined, unreadableCount: 1, unreadable: [{ reason: replaced }] });
  t.equal(Buffer.from(result.unreadable[0]!.path).toString(), 'x/Documents');
  t.match(await previewBackup(repository, machine.source), { unreadableCount: 0, counts: { added: 4 } });
  t.match(await backup(repository, machine.source), { version: 2, unreadableCount: 0 });
  t.strictSame(await machine.restored(repository, 2), machine.described(), 'the next run has it all');
});
