// Large files whose restore was interrupted: the next run goes on with what there is of them, and trusts none of it.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { type RestoreOptions, restore } from '../../lib/restore/index.js';
import { partialOf } from '../../lib/restore/names.js';
import { describeTree, scratchDirectory } from '../trees.js';
import { MemoryRepository } from './memory-repository.js';

const MiB = 1 << 20;

function fixture(t: Test, files: Record<string, number>) {
  const scratch = scratchDirectory(t);
  const [root, target] = [path.join(scratch, 'source'), path.join(scratch, 'target')];
  fs.mkdirSync(path.join(root, 'sub'), { recursive: true });
  fs.mkdirSync(path.join(target, 'sub'), { recursive: true });
  for (const [name, size_bytes] of Object.entries(files))
    fs.writeFileSync(path.join(root, name), randomBytes(size_bytes));
  const repository = new MemoryRepository();
  repository.add(root, 1);
  const run = (options: Partial<RestoreOptions> = {}) =>
    restore({ repository, stream: 's', sequence: 1, target, ...options });
  return { scratch, root, target, repository, run };
}

/** Of the file `sub/NAME` in the target. */
const left = (target: string, name: string): string =>
  path.join(target, 'sub', `.rrbackup-partial-${partialOf(Buffer.from(name))}`);

t.test('what was written is not fetched again; what was spoiled since is', async (t) => {
  const size_bytes = 96 * MiB;
  const { root, target, repository, run } = fixture(t, { 'sub/large': size_bytes });
  const stranger = left(target, 'a file that is in no version');
  fs.writeFileSync(stranger, '');
  const controller = new AbortController();
  // Nine pieces are under way at most, of two requests each: before the eleventh is asked for, two are written.
  repository.beforeRead = () => {
    if (repository.reads === 22) controller.abort();
    return Promise.resolve();
  };
  await t.rejects(run({ signal: controller.signal }), { code: 'interrupted' });
  t.notOk(fs.existsSync(path.join(target, 'sub', 'large')), 'what is not whole does not have its name');
  const descriptor = fs.openSync(left(target, 'large'), 'r+');
  fs.writeSync(descriptor, 'spoiled', 100);
  fs.closeSync(descriptor);

  let fetched_bytes = 0;
  const { readStored } = repository.packs;
  repository.packs.readStored = async (...given) => {
    const blocks = await readStored.apply(repository.packs, given);
    for (const block of blocks.values()) fetched_bytes += block.length;
    return blocks;
  };
  const { bytes, files, conflicts, failed } = await run();
  t.strictSame({ files, conflicts, failed }, { files: 1, conflicts: 0, failed: 0 });
  t.ok(bytes < size_bytes && bytes > 0);
  t.ok(fetched_bytes < size_bytes, `${fetched_bytes} of ${size_bytes} were fetched`);
  t.strictSame(describeTree(target), describeTree(root));
});

t.test('nothing is written into what is not ours alone', async (t) => {
  const { scratch, root, target, run } = fixture(t, { 'sub/a': 9 * MiB, 'sub/b': 9 * MiB, 'sub/c': 9 * MiB });
  const outside = path.join(scratch, 'outside');
  fs.writeFileSync(outside, 'mine');
  fs.symlinkSync(outside, left(target, 'a'));
  fs.linkSync(outside, left(target, 'b'));
  fs.writeFileSync(left(target, 'c'), 'anybody writes');
  fs.chmodSync(left(target, 'c'), 0o666);
  const strange = fs.openSync(left(target, 'c'), 'r+');
  t.match(await run(), { files: 3, conflicts: 0, failed: 0 });
  fs.writeSync(strange, 'what somebody writes who had it open', 0);
  fs.closeSync(strange);
  t.equal(fs.readFileSync(outside, 'utf8'), 'mine');
  t.strictSame(describeTree(target), describeTree(root));
});
