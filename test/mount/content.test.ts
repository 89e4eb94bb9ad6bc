// Bytes out of blocks: put together right, fetched once, bounded, never wrong, and not waited for longer than the reader does.

import t from 'tap';
import type { Entry } from '../../lib/manifest/types.js';
import { scratchDirectory } from '../trees.js';
import { chunkIdOf, TestRepository, type Leaf } from './repository.js';

const never = new AbortController().signal;
const day1_ns = 1_795_230_000_000_000_000n;

async function repositoryOf(
  test: Parameters<typeof scratchDirectory>[0],
  files: Record<string, Leaf | string>,
) {
  const repository = await TestRepository.create(scratchDirectory(test));
  test.teardown(() => repository.catalog.close());
  await repository.commit('here', 'docs', day1_ns, files);
  const stream = repository.catalog.streams()[0]!.id;
  const entry = (name: string): Entry => repository.catalog.find(stream, 1, Buffer.from(name))!.entry;
  return { repository, entry };
}

void t.test('every range of a file with chunks and holes', async (test) => {
  const { repository, entry } = await repositoryOf(test, { f: { content: ['abc', 5, 'defgh', 'i', 2] } });
  const whole = 'abc\0\0\0\0\0defghi\0\0';
  const content = repository.content();
  for (let from = 0; from <= whole.length + 1; from++) {
    for (let size = 0; size <= whole.length + 2; size++) {
      const bytes = await content.read(entry('f'), from, size, never);
      if (bytes.toString('latin1') !== whole.slice(from, from + size)) test.fail(`${from} + ${size}`);
    }
  }
  test.equal(repository.reads, 3, 'each block is fetched once');
});

void t.test('one flight for many readers', async (test) => {
  const { repository, entry } = await repositoryOf(test, { f: 'content' });
  const content = repository.content();
  const read = async () => (await content.read(entry('f'), 0, 7, never)).toString();
  test.strictSame(await Promise.all([read(), read(), read()]), ['content', 'content', 'content']);
  test.equal(repository.reads, 1);
});

void t.test('memory is bounded', async (test) => {
  const { repository, entry } = await repositoryOf(test, { a: 'a'.repeat(1000), b: 'b'.repeat(1000) });
  const content = repository.content(1500);
  for (const name of ['a', 'b', 'a']) await content.read(entry(name), 0, 10, never);
  test.equal(repository.reads, 3);
});

void t.test('a reader that gives up leaves; the last one calls the fetch off', async (test) => {
  const { repository, entry } = await repositoryOf(test, { f: 'content' });
  repository.hanging.add(chunkIdOf('content'));
  const content = repository.content();
  const one = new AbortController();
  const two = new AbortController();
  const first = content.read(entry('f'), 0, 7, one.signal);
  const second = content.read(entry('f'), 0, 7, two.signal);
  one.abort();
  await test.rejects(first, { code: 'interrupted' });
  test.equal(repository.aborted, 0);
  two.abort();
  await test.rejects(second, { code: 'interrupted' });
  test.equal(repository.aborted, 1);
  repository.hanging.clear();
  test.equal((await content.read(entry('f'), 0, 7, never)).toString(), 'content');
});

void t.test('reading on fetches ahead, and what is damaged ahead harms nobody before it', async (test) => {
  const pieces = Array.from({ length: 6 }, (_, index) => String(index).repeat(100));
  const { repository, entry } = await repositoryOf(test, { f: { content: pieces } });
  repository.failing.add(chunkIdOf(pieces[5]!));
  const content = repository.content();
  const f = entry('f');
  for (let index = 0; index < 5; index++) {
    test.equal((await content.read(f, index * 100, 100, never)).toString(), pieces[index]);
  }
  await test.rejects(content.read(f, 500, 100, never), /damaged/);
  repository.failing.clear();
  test.equal((await content.read(f, 0, 600, never)).toString(), pieces.join(''));
});

void t.test('a chunk that is not what its id says is never given out', async (test) => {
  const { repository, entry } = await repositoryOf(test, { f: 'content' });
  const content = repository.content();
  const readBlocks = repository.readBlocks.bind(repository);
  repository.readBlocks = async (places, signal) => {
    const blocks = await readBlocks(places, signal);
    return new Map([...blocks].map(([index, bytes]) => [index, Buffer.alloc(bytes.length)]));
  };
  await test.rejects(content.read(entry('f'), 0, 7, never), /not what its id says/);
  await test.rejects(content.read(entry('f'), 0, 7, never), /not what its id says/, 'nor the second time');
});
