// What stands already, as root restores where others write: whose it is, what else it is called and who may have it open decide
// whether it becomes what the version says or is replaced.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { setModified } from '../../lib/posix/attributes.js';
import { makeNode } from '../../lib/posix/nodes.js';
import { getXattr, setXattr } from '../../lib/posix/xattr.js';
import { restore } from '../../lib/restore/index.js';
import { describeTree, isRoot, scratchDirectory } from '../trees.js';
import { mallory, stateOf } from './attacker.js';
import { MemoryRepository } from './memory-repository.js';

const skip = isRoot ? false : 'only root gives files away';
const time_ns = -86_400_000_000_123_456_789n;
const alice = 1234;
const MiB = 1 << 20;

type Kind = 'file' | 'large file' | 'symlink' | 'fifo' | 'device';

function make(at: string, kind: Kind, owner: number, mode = 0o600): void {
  if (kind === 'symlink') fs.symlinkSync('anywhere', at);
  else if (kind === 'fifo') makeNode(Buffer.from(at), 'fifo');
  else if (kind === 'device') makeNode(Buffer.from(at), 'character-device', 1, 3);
  else fs.writeFileSync(at, kind);
  if (kind === 'large file') fs.truncateSync(at, 9 * MiB);
  fs.lchownSync(at, owner, owner);
  if (kind !== 'symlink') fs.chmodSync(at, mode);
  setModified(Buffer.from(at), time_ns);
}

interface World {
  readonly source: string;
  readonly target: string;
  at(name: string): string;
  put(options?: Parameters<MemoryRepository['add']>[1] | object): ReturnType<typeof restore>;
}

/** A sticky directory of root's, as /tmp is. */
function world(t: Parameters<typeof scratchDirectory>[0], fill: (source: string) => void): World {
  const scratch = scratchDirectory(t);
  const [source, target] = [path.join(scratch, 'source'), path.join(scratch, 'target')];
  fs.mkdirSync(source);
  fill(source);
  fs.mkdirSync(target);
  fs.chmodSync(target, 0o1777);
  fs.writeFileSync(path.join(target, 'not of this version'), '');
  const repository = new MemoryRepository();
  repository.add(source, 1);
  return {
    source,
    target,
    at: (name) => path.join(target, name),
    put: (options) =>
      restore({ repository, stream: 's', sequence: 1, target, ...(options as object | undefined) }),
  };
}

for (const kind of ['file', 'large file', 'symlink', 'fifo', 'device'] as const)
  void t.test(`a ${kind} that is right already`, { skip }, async (t) => {
    const { source, at, put } = world(t, (source) => make(path.join(source, 'it'), kind, alice, 0o640));
    const wanted = describeTree(source).slice(1);
    const now = (): string[] => describeTree(path.dirname(at('it'))).filter((line) => line.startsWith('it '));
    const inode = (): number => fs.lstatSync(at('it')).ino;
    for (const [owner, isAdopted] of [
      [alice, true],
      [0, true],
      [mallory, false],
    ] as const) {
      fs.rmSync(at('it'), { force: true });
      make(at('it'), kind, owner, 0o666);
      const before = inode();
      const held = fs.openSync(at('it'), fs.constants.O_NOFOLLOW | 0o10000000);
      t.match(await put(), { conflicts: 0, failed: 0, inexact: 0 });
      t.equal(inode() === before, isAdopted, `owned by ${owner}`);
      t.strictSame(now(), wanted);
      if (!isAdopted) t.match(fs.fstatSync(held), { uid: owner }, 'what was replaced stays theirs');
      fs.closeSync(held);
    }

    fs.rmSync(at('it'));
    make(at('it'), kind, 0, 0o600);
    fs.linkSync(at('it'), at('elsewhere'));
    const other = kind === 'file' || kind === 'large file' ? stateOf(at('elsewhere')) : undefined;
    await put();
    t.not(inode(), fs.lstatSync(at('elsewhere')).ino, 'its other name may be for something else');
    t.strictSame(now(), wanted);
    t.match(fs.lstatSync(at('elsewhere')), { uid: 0, nlink: 1 });
    if (other !== undefined) t.strictSame(stateOf(at('elsewhere')), other);

    fs.linkSync(at('it'), at('same'));
    const before = inode();
    await put();
    t.equal(inode(), before, 'all is right: whatever it is called elsewhere, nothing is changed');
  });

void t.test('what gains rights is new, and nobody has it open', { skip }, async (t) => {
  const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
  const names = ['setuid', 'setgid', 'capable', 'large'];
  const { source, target, at, put } = world(t, (source) => {
    for (const name of names) make(path.join(source, name), name === 'large' ? 'large file' : 'file', 0);
    fs.chmodSync(path.join(source, 'setuid'), 0o4755);
    fs.chmodSync(path.join(source, 'setgid'), 0o2755);
    fs.chmodSync(path.join(source, 'large'), 0o6755);
    setXattr(Buffer.from(path.join(source, 'capable')), Buffer.from('security.capability'), capability);
  });
  for (const options of [{}, { overwrite: true }, { inPlace: true }]) {
    for (const name of names) {
      fs.rmSync(at(name), { force: true });
      make(at(name), name === 'large' ? 'large file' : 'file', 0, 0o666);
      if ('inPlace' in options) fs.utimesSync(at(name), 1, 1);
    }
    const open = names.map((name) => fs.openSync(at(name), 'r+'));
    t.match(await put(options), { conflicts: 0, failed: 0, inexact: 0 });
    for (const fd of open) fs.writeSync(fd, 'evil', 0);
    for (const name of names)
      t.ok(fs.readFileSync(at(name)).equals(fs.readFileSync(path.join(source, name))), name);
    t.strictSame(
      describeTree(target).filter((line) => !/^\.|^not/.test(line)),
      describeTree(source).slice(1),
    );
    const inodes = names.map((name) => fs.statSync(at(name)).ino);
    await put(options);
    t.strictSame(
      names.map((name) => fs.statSync(at(name)).ino),
      inodes,
      'once they are right they stay',
    );
    for (const fd of open) fs.closeSync(fd);
  }
  t.ok(getXattr(Buffer.from(at('capable')), Buffer.from('security.capability')));
});

void t.test('in place, but not into files of somebody else', { skip }, async (t) => {
  const { source, at, put } = world(t, (source) => {
    for (const kind of ['file', 'large file'] as const) make(path.join(source, kind), kind, alice, 0o600);
  });
  for (const [owner, isChanged] of [
    [alice, true],
    [0, true],
    [mallory, false],
  ] as const) {
    const inodes = ['file', 'large file'].map((name) => {
      fs.rmSync(at(name), { force: true });
      fs.writeFileSync(at(name), 'something else');
      fs.chownSync(at(name), owner, owner);
      return fs.statSync(at(name)).ino;
    });
    t.match(await put({ inPlace: true }), { conflicts: 0, failed: 0, inexact: 0 });
    for (const [index, name] of ['file', 'large file'].entries()) {
      t.equal(fs.statSync(at(name)).ino === inodes[index], isChanged, `${name} of ${owner}`);
      t.ok(fs.readFileSync(at(name)).equals(fs.readFileSync(path.join(source, name))));
    }
  }
});

void t.test('directories of somebody else are not written into', { skip }, async (t) => {
  const { source, target, at, put } = world(t, (source) => {
    for (const name of ['theirs', 'recorded', 'own']) {
      fs.mkdirSync(path.join(source, name));
      make(path.join(source, name, 'inside'), 'file', alice);
      fs.chownSync(path.join(source, name), alice, alice);
    }
    make(path.join(source, 'zero'), 'file', alice);
  });
  for (const [name, owner] of [
    ['theirs', mallory],
    ['recorded', alice],
    ['own', 0],
  ] as const) {
    fs.mkdirSync(at(name));
    fs.chownSync(at(name), owner, owner);
  }
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  t.match(await put({ onWarning }), { failed: 1, files: 3, conflicts: 0, inexact: 0 });
  t.strictSame(warnings.length, 1);
  t.match(warnings[0], /theirs is not put back: .*user 4242.*--into-foreign/);
  t.strictSame(fs.readdirSync(at('theirs')), []);
  t.match(fs.statSync(at('own')), { uid: alice });

  t.match(await put({ intoForeign: true, onWarning }), { failed: 0, files: 4, inexact: 1 });
  t.match(warnings.slice(1), [/theirs keeps its owner/]);
  t.match(fs.statSync(at('theirs')), { uid: mallory });
  t.strictSame(
    describeTree(target).filter((line) => line.startsWith('theirs/')),
    describeTree(source).filter((line) => line.startsWith('theirs/')),
  );
});

void t.test("a directory of root's is not given away with what else it holds", { skip }, async (t) => {
  const { at, put } = world(t, (source) => {
    fs.mkdirSync(path.join(source, 'docs'));
    make(path.join(source, 'docs', 'letter'), 'file', alice);
    fs.chownSync(path.join(source, 'docs'), alice, alice);
    fs.chmodSync(path.join(source, 'docs'), 0o755);
  });
  fs.mkdirSync(at('docs'), { mode: 0o700 });
  fs.writeFileSync(at('docs/secret'), 'secret');
  t.match(await put(), { failed: 0, inexact: 1 });
  t.match(fs.statSync(at('docs')), { uid: 0, mode: 0o40700 });
  fs.rmSync(at('docs/secret'));
  t.match(await put(), { failed: 0, inexact: 0 });
  t.match(fs.statSync(at('docs')), { uid: alice, mode: 0o40755 });
});

void t.test('names that a restore uses, planted', { skip }, async (t) => {
  const { source, target, at, put } = world(t, (source) => {
    for (let index = 0; index < 600; index++)
      fs.writeFileSync(path.join(source, `file ${index}`), `${index}`);
    make(path.join(source, 'large'), 'large file', 0, 0o755);
  });
  const partial = '.rrbackup-partial-of-6bfb3a4c0ddfb7a2e5a0cbca3d6d4b2f';
  makeNode(Buffer.from(at('.rrbackup-partial-journal')), 'fifo');
  for (const slot of [0, 1, 2]) {
    fs.mkdirSync(at(`.rrbackup-partial-${slot}`));
    fs.writeFileSync(at(`.rrbackup-partial-${slot}/theirs`), '');
  }
  fs.mkdirSync(at(partial));
  t.match(await put(), { failed: 0, conflicts: 0, files: 601 });
  const lines = new Set(describeTree(target));
  t.strictSame(
    describeTree(source)
      .slice(1)
      .filter((line) => !lines.has(line)),
    [],
  );
});
