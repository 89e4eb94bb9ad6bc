// Other users in a mount with allow_other, with a real kernel: nobody reads in history/, below --path or in hosts/ what a
// version's own tree, the directories above it, or another machine would have kept from him.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import type { MountOptions } from '../../lib/mount/index.js';
import { live, noMount, run } from './live.js';
import { directory, type TestRepository, type TestTree } from './repository.js';

const skip = noMount;
const alice = 4241;
const mallory = 4242;
const friend = 4243;
const day1_ns = 1_795_230_000_000_000_000n;
const day_ns = 86_400_000_000_000n;
const day1 = '2026-11-21T03-00-00Z';
const day2 = '2026-11-22T03-00-00Z';

/** As the kernel keeps it; ids of owner, group, mask and others are -1. */
function acl(...entries: (readonly [tag: number, permissions: number, id: number])[]): string {
  return entries.reduce((bytes, [tag, permissions, id]) => {
    const entry = Buffer.alloc(8);
    entry.writeUInt16LE(tag, 0);
    entry.writeUInt16LE(permissions, 2);
    entry.writeInt32LE(id, 4);
    return bytes + entry.toString('latin1');
  }, '\x02\0\0\0');
}

const name = 'system.posix_acl_access';
/** user::rwx user:friend:r-x group::--- mask::r-x other::---: the bits of the group in the mode are the mask. */
const friendOnly = { [name]: acl([1, 7, -1], [2, 5, friend], [4, 0, -1], [16, 5, -1], [32, 0, -1]) };
/** Everybody but mallory. */
const notMallory = { [name]: acl([1, 6, -1], [2, 0, mallory], [4, 4, -1], [16, 4, -1], [32, 4, -1]) };

async function mountFor(
  test: Test,
  versions: readonly TestTree[],
  options: Partial<MountOptions> = {},
): Promise<(user: number, ...at: string[]) => Promise<string>> {
  const fill = async (repository: TestRepository): Promise<void> => {
    for (const [index, tree] of versions.entries())
      await repository.commit('here', 'docs', day1_ns + BigInt(index) * day_ns, tree);
    await repository.commit('there', 'photos', day1_ns, {
      mine: { content: 'theirs', uid: mallory, mode: 0o600 },
    });
  };
  const { at, scratch } = await live(test, 'kernel', fill, { allowOther: true, ...options });
  fs.chmodSync(scratch, 0o755);
  return async (user, ...below) => {
    const { status, output, errors } = await run('cat', [path.join(at, ...below)], { user });
    if (status === 0) return output;
    return errors.replace(/^.*: /s, '').trim();
  };
}

const denied = 'Permission denied';
const gone = 'No such file or directory';

void t.test('history/ is as closed as all states of a path together', { skip }, async (test) => {
  const owned = { uid: alice, gid: alice };
  const before: TestTree = {
    acl: { ...directory, mode: 0o750, gid: mallory, xattrs: friendOnly },
    'acl/file': 'acl',
    opened: { ...directory, ...owned, mode: 0o700 },
    'opened/both': 'both',
    closed: { ...directory, ...owned },
    'closed/file': 'closed',
    'shut.txt': { content: 'shut', ...owned },
    'bare.txt': { content: 'bare', ...owned, xattrs: notMallory },
    'given.txt': { content: 'given', ...owned },
    free: directory,
    'free/file.txt': { content: 'free', ...owned },
    swap: { content: 'was a file', ...owned, mode: 0o600 },
  };
  const after: TestTree = {
    ...before,
    acl: { ...directory, gid: mallory },
    'acl/file': 'acl 2',
    opened: { ...directory, ...owned },
    'opened/both': 'both 2',
    closed: { ...directory, ...owned, mode: 0o711 },
    'shut.txt': { content: 'shut 2', ...owned, mode: 0o600 },
    'bare.txt': { content: 'bare 2', ...owned },
    'given.txt': { content: 'given 2', uid: friend, gid: friend },
    'free/file.txt': { content: 'free 2', uid: friend },
    swap: { ...directory, ...owned },
    'swap/in': 'in a directory',
  };
  const cat = await mountFor(test, [{ ...before, 'opened/old': 'old' }, after]);
  const inHistory = (user: number, ...at: string[]) => cat(user, 'docs', 'history', ...at);

  await test.test('an ACL of a directory', async (test) => {
    test.equal(await cat(mallory, 'docs', day1, 'acl/file'), denied);
    test.equal(await cat(mallory, 'docs', day2, 'acl/file'), 'acl 2', 'each version has its own');
    for (const day of [day1, day2]) test.equal(await inHistory(mallory, 'acl/file', day), denied, day);
    test.equal(await inHistory(friend, 'acl/file', day1), 'acl');
    test.equal(await inHistory(alice, 'acl/file', day1), denied);
  });
  await test.test('a directory that was closed once', async (test) => {
    test.equal(await inHistory(mallory, 'opened/old', day1), denied);
    test.equal(await inHistory(mallory, 'opened/both', day2), denied);
    test.equal(await inHistory(alice, 'opened/old', day1), 'old');
  });
  await test.test('a directory that was closed to listing only', async (test) => {
    test.equal(await inHistory(mallory, 'closed/file', day1), 'closed');
  });
  await test.test('a file that was closed once', async (test) => {
    test.equal(await cat(mallory, 'docs', day1, 'shut.txt'), 'shut');
    test.equal(await inHistory(mallory, 'shut.txt', `${day1}.txt`), denied);
    test.equal(await inHistory(alice, 'shut.txt', `${day1}.txt`), 'shut');
    test.equal(await inHistory(mallory, 'bare.txt', `${day2}.txt`), denied, 'by its ACL');
    test.equal(await inHistory(friend, 'bare.txt', `${day2}.txt`), 'bare 2');
  });
  await test.test('what was open all the time stays so, whoever owned it', async (test) => {
    test.equal(await inHistory(mallory, 'given.txt', `${day1}.txt`), 'given');
    test.equal(await inHistory(mallory, 'free/file.txt', `${day2}.txt`), 'free 2');
  });
  await test.test('a path that was a file for its owner, then a directory for all', async (test) => {
    test.equal(await inHistory(mallory, 'swap', day1), denied);
    test.equal(await inHistory(mallory, 'swap/in', day2), denied);
    test.equal(await inHistory(alice, 'swap', day1), 'was a file');
  });
});

void t.test('below --path the directories above it still count', { skip }, async (test) => {
  const home = (mode: number): TestTree => ({
    home: { ...directory, uid: alice, gid: alice, mode },
    'home/docs': { ...directory, xattrs: { 'user.color': 'red' } },
    'home/docs/file': 'private',
    'home/docs/below': directory,
    'home/docs/below/file': 'private, too',
  });
  const cat = await mountFor(test, [home(0o700), home(0o711)], {
    tree: { host: 'here', owner: { uid: 0, gid: 0 }, path: Buffer.from('home/docs') },
  });
  for (const file of ['file', 'below/file']) {
    test.equal(await cat(mallory, 'docs', day1, file), denied);
    test.match(await cat(mallory, 'docs', day2, file), 'private', 'that version had let him through');
    test.equal(await cat(mallory, 'docs/history', file, day1), denied, 'history/ is as closed as the first');
    test.match(await cat(alice, 'docs', day1, file), 'private');
    test.match(await cat(alice, 'docs/history', file, day1), 'private');
  }
});

void t.test("other machines' files are shown only if asked for", { skip }, async (test) => {
  const tree = { host: 'here', owner: { uid: 0, gid: 0 } };
  const theirs = ['photos', day1, 'mine'];
  const cat = await mountFor(test, [{ a: 'ours' }]);
  test.equal(await cat(mallory, 'hosts/here/docs', day1, 'a'), 'ours');
  test.equal(await cat(mallory, 'hosts/there', ...theirs), gone);
  const asked = await mountFor(test, [{ a: 'ours' }], { allHosts: true });
  test.equal(await asked(mallory, 'hosts/there', ...theirs), 'theirs');
  const there = await mountFor(test, [{ a: 'ours' }], { tree: { ...tree, host: 'there' } });
  test.equal(await there(mallory, ...theirs), 'theirs', 'a machine that is asked for by its name');
  test.equal(await there(mallory, 'hosts/here/docs', day1, 'a'), gone);
  const alone = await mountFor(test, [{ a: 'ours' }], { allowOther: false });
  test.equal(await alone(0, 'hosts/there', ...theirs), 'theirs', 'whoever mounts for himself sees all');
});
