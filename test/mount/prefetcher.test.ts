// What is read ahead, of a repository whose blocks all come over a network, by a kernel that asks only for what it has not got.

import t, { type Test } from 'tap';
import { Flights } from '../../lib/mount/cache/flights.js';
import { LocalContent } from '../../lib/mount/cache/local-content.js';
import { SharedBlocks } from '../../lib/mount/cache/shared-blocks.js';
import { FileLayout, placed } from '../../lib/mount/cache/file-layout.js';
import { Prefetcher } from '../../lib/mount/prefetch/prefetcher.js';
import { openLocalBlocks } from '../../lib/pack/local-blocks.js';
import type { CatalogEntry } from '../../lib/catalog/types.js';
import type { ChunkPlace } from '../../lib/pack/types.js';
import { scratchDirectory } from '../trees.js';
import { chunkIdOf, directory, TestRepository, type TestTree } from './repository.js';

const never = new AbortController().signal;
const room_bytes = 40;
const kernelRead_bytes = 128 * 1024;
const maximum_bytes = 4 * 2 ** 20;

/** Text that is nowhere else. */
function text(name: string, size_bytes: number): string {
  return `${name} `.repeat(Math.ceil(size_bytes / (name.length + 1))).slice(0, size_bytes);
}

class Kernel {
  readonly repository: TestRepository;
  /** By block: how often it was fetched. */
  readonly fetched = new Map<string, number>();
  /** By row: which bytes it has. */
  readonly #cache = new Map<number, Set<number>>();
  readonly #allowed = new Set<number>();
  readonly #shared = SharedBlocks.create(64 * 2 ** 20);
  readonly #flights: Flights;
  readonly #content: LocalContent;
  readonly #prefetcher: Prefetcher;
  readonly #pending = new Set<Promise<void>>();
  readonly mistakes: string[] = [];
  stored_bytes = 0;
  /** Of these, what the kernel had already. */
  again_bytes = 0;
  asked = 0;
  fetchesAtOnce = 0;

  constructor(repository: TestRepository) {
    this.repository = repository;
    const counting = {
      readBlocks: (places: readonly ChunkPlace[], signal?: AbortSignal) => {
        for (const { pack, block } of places)
          this.fetched.set(`${pack} ${block}`, (this.fetched.get(`${pack} ${block}`) ?? 0) + 1);
        return repository.readBlocks(places, signal);
      },
    };
    this.#flights = new Flights(counting, this.#shared);
    const local = openLocalBlocks({ kind: 'none' });
    this.#content = new LocalContent({ shared: this.#shared, local, decoder: repository });
    this.#prefetcher = new Prefetcher({
      catalog: repository.catalog,
      shared: this.#shared,
      content: this.#content,
      room_bytes,
      limits: { initial_bytes: 2 ** 20, maximum_bytes, lead_bytes: 0 },
      target: {
        fetch: (places) => {
          const done = this.#flights.ahead(places).finally(() => this.#pending.delete(done));
          this.#pending.add(done);
          this.fetchesAtOnce = Math.max(this.fetchesAtOnce, this.#pending.size);
          return done;
        },
        store: (row, offset, message) => this.#store(row, offset, message.subarray(room_bytes)),
        wake: () => undefined,
      },
    });
  }

  find(name: string): CatalogEntry {
    const { catalog } = this.repository;
    return catalog.find(catalog.streams()[0]!.id, 1, Buffer.from(name))!;
  }

  /** As `ls` does, and cp before it reads. */
  async list(name: string): Promise<void> {
    const { id, directory: below } = this.find(name);
    for (const each of this.repository.catalog.list(below!, 1)) this.#allowed.add(each.id);
    this.#prefetcher.hear({ kind: 'listed', row: id, sequence: 1 });
    await this.settle();
  }

  /** All of a file, as a reader does that is slower than the network. */
  async readAll(name: string): Promise<void> {
    const size_bytes = this.find(name).entry.size_bytes;
    for (let at = 0; at < size_bytes; at += kernelRead_bytes)
      await this.read(name, at, Math.min(size_bytes, at + kernelRead_bytes));
  }

  /** `steps`: the reader goes on when the prefetcher has done so many, if it does not wait for all of them. */
  async read(name: string, offset: number, end: number, steps?: number): Promise<void> {
    const { id: row, entry } = this.find(name);
    this.#allowed.add(row);
    const has = this.#pages(row);
    const pages = pagesOf(offset, end);
    if (pages.every((page) => has.has(page))) return;
    this.asked++;
    this.#prefetcher.hear({ kind: 'read', row, offset, end });
    for (const piece of new FileLayout(entry).pieces(offset, end)) {
      const { id, place } = placed(this.repository.catalog, piece);
      if (!this.#content.load({ id, place })) await this.#flights.block(place, never);
    }
    for (const page of pages) has.add(page);
    if (steps === undefined) await this.settle();
    else for (let step = 0; step < steps; step++) this.#prefetcher.work();
  }

  async settle(): Promise<void> {
    for (;;) {
      while (this.#prefetcher.work());
      if (this.#pending.size === 0) {
        await new Promise(setImmediate);
        if (!this.#prefetcher.work()) return;
      } else await Promise.all(this.#pending);
      await new Promise(setImmediate);
    }
  }

  #store(row: number, offset: number, bytes: Buffer): void {
    const { entry } = this.repository.catalog.entryById(row)!;
    const end = offset + bytes.length;
    if (!this.#allowed.has(row)) this.mistakes.push(`${row} was stored, which the kernel does not know`);
    if (offset % 4096 !== 0 || (end % 4096 !== 0 && end !== entry.size_bytes))
      this.mistakes.push(`${row} was stored from ${offset} to ${end}`);
    const expected = Buffer.alloc(bytes.length);
    this.#content.read(
      new FileLayout(entry).pieces(offset, end).map((piece) => placed(this.repository.catalog, piece)),
      expected,
    );
    if (!expected.equals(bytes)) this.mistakes.push(`${row} was stored with other bytes`);
    this.stored_bytes += bytes.length;
    const has = this.#pages(row);
    for (const page of pagesOf(offset, end)) {
      if (has.has(page)) this.again_bytes += 4096;
      has.add(page);
    }
  }

  #pages(row: number): Set<number> {
    const known = this.#cache.get(row) ?? new Set<number>();
    this.#cache.set(row, known);
    return known;
  }
}

function pagesOf(offset: number, end: number): number[] {
  const first = Math.floor(offset / 4096);
  return Array.from({ length: Math.ceil(end / 4096) - first }, (_, index) => first + index);
}

async function kernelWith(test: Test, tree: TestTree): Promise<Kernel> {
  const repository = await TestRepository.create(scratchDirectory(test));
  test.teardown(() => repository.catalog.close());
  await repository.commit('here', 'docs', 1_795_230_000_000_000_000n, tree);
  return new Kernel(repository);
}

function isEachFetchedOnce(kernel: Kernel): boolean {
  return [...kernel.fetched.values()].every((count) => count === 1);
}

const large = { content: Array.from({ length: 200 }, (_, index) => text(`large ${index}`, 100_003)) };

void t.test('one file from its beginning to its end', async (test) => {
  const kernel = await kernelWith(test, { large, other: 'x' });
  await kernel.list('');
  await kernel.readAll('large');
  const size_bytes = kernel.find('large').entry.size_bytes;
  test.strictSame(kernel.mistakes, []);
  test.equal(kernel.fetched.size >= 200 && isEachFetchedOnce(kernel), true, 'all of it, nothing twice');
  test.ok(kernel.stored_bytes > size_bytes / 2, 'most of it was there before it was asked for');
  test.ok(kernel.asked < size_bytes / kernelRead_bytes / 2, 'so that most reads do not reach us');
  test.ok(kernel.asked > 4, 'but some, as signs of the reader');
  test.ok(kernel.fetchesAtOnce <= 3, 'few fetches at once');
});

void t.test('a reader that is far ahead is caught up with', async (test) => {
  const kernel = await kernelWith(test, { large });
  const reads = 100;
  for (let index = 0; index < 2 * reads; index++) {
    const at = index * kernelRead_bytes * 0.75;
    const end = at + kernelRead_bytes * 0.75;
    if (index === reads) kernel.asked = 0;
    await kernel.read('large', at, end, index < reads ? 0 : undefined);
  }
  test.strictSame(kernel.mistakes, []);
  test.ok(isEachFetchedOnce(kernel));
  test.ok(kernel.asked < reads / 2, `then most reads do not reach us: ${kernel.asked} of ${reads}`);
});

void t.test('random reads fetch what they touch and nothing else', async (test) => {
  const size_bytes = 100_003;
  const vast = { content: Array.from({ length: 640 }, (_, index) => text(`vast ${index}`, size_bytes)) };
  const kernel = await kernelWith(test, { vast });
  await kernel.list('');
  const touched = new Set<number>();
  let state = 1;
  for (let count = 0; count < 60; count++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const page = Math.floor((state / 2 ** 32) * 15_600);
    await kernel.read('vast', page * 4096, (page + 1) * 4096);
    for (const at of [page * 4096, page * 4096 + 4095]) touched.add(Math.floor(at / size_bytes));
  }
  const { fetched, mistakes } = kernel;
  test.strictSame(mistakes, []);
  test.ok(isEachFetchedOnce(kernel));
  test.equal(fetched.size, touched.size);
});

const tree: Record<string, TestTree[string]> = {};
for (let index = 0; index < 12; index++) {
  tree[`d${index + 10}`] = directory;
  tree[`d${index + 10}/below`] = directory;
  for (let file = 0; file < 30; file++) {
    const name = `d${index + 10}${file % 2 === 0 ? '' : '/below'}/f${file + 10}`;
    tree[name] = file === 4 ? '' : text(name, 500 + file * 700);
  }
}

const sorted = Object.keys(tree).sort((a, b) => (a < b ? -1 : 1));

void t.test('a recursive copy streams from directory to directory', async (test) => {
  const kernel = await kernelWith(test, tree);
  const files = sorted.filter((name) => typeof tree[name] === 'string' && tree[name] !== '');
  await kernel.list('');
  for (const name of sorted) {
    if (typeof tree[name] !== 'string') await kernel.list(name);
    else if (tree[name] !== '') await kernel.readAll(name);
  }
  test.strictSame(kernel.mistakes, []);
  test.equal(kernel.fetched.size, files.length, 'all of it');
  test.ok(isEachFetchedOnce(kernel), 'nothing twice');
  test.ok(kernel.asked < files.length / 2, `most reads do not reach us: ${kernel.asked} of ${files.length}`);
});

void t.test('what a hasty reader gets to first is left to it', async (test) => {
  const kernel = await kernelWith(test, tree);
  const files = sorted.filter((name) => typeof tree[name] === 'string' && tree[name] !== '');
  await kernel.list('');
  for (const name of sorted) if (typeof tree[name] !== 'string') await kernel.list(name);
  for (const name of files) await kernel.read(name, 0, kernel.find(name).entry.size_bytes, 3);
  await kernel.settle();
  test.strictSame(kernel.mistakes, []);
  test.ok(isEachFetchedOnce(kernel), 'nothing twice');
  test.ok(kernel.stored_bytes > 0, 'what lies further ahead is there before it is asked for');
  test.equal(kernel.again_bytes, 0);
});

void t.test('what the kernel has not listed is not stored', async (test) => {
  const kernel = await kernelWith(test, tree);
  for (const name of sorted.slice(0, 60))
    if (typeof tree[name] === 'string' && tree[name] !== '') await kernel.readAll(name);
  test.strictSame(kernel.mistakes, []);
  const { stored_bytes } = kernel;
  await kernel.list('d12');
  test.ok(kernel.stored_bytes > stored_bytes, 'until it has');
  test.strictSame(kernel.mistakes, []);
});

void t.test('a block that does not come harms nobody else', async (test) => {
  const kernel = await kernelWith(test, { large });
  const failing = [20, 21, 60].map((index) => large.content[index]!);
  for (const each of failing) kernel.repository.failing.add(chunkIdOf(each));
  const size_bytes = kernel.find('large').entry.size_bytes;
  let failures = 0;
  for (let at = 0; at + kernelRead_bytes < size_bytes; at += kernelRead_bytes)
    await kernel.read('large', at, at + kernelRead_bytes).catch(() => failures++);
  test.ok(failures >= 3 && failures <= 6, `${failures} reads failed`);
  test.strictSame(kernel.mistakes, []);
});
