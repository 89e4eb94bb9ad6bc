// Blocks in memory that threads share: never bytes of another block, never more than there is room for, nothing lost.

import fc from 'fast-check';
import t from 'tap';
import { SharedBlocks, type Pinned } from '../../lib/mount/cache/shared-blocks.js';
import { runThreads } from '../workers/threads.js';
import { bytesOf, page_bytes, placeOf } from './blocks.js';
import type { HammerResult, HammerWork } from './shared-blocks-worker.js';
import { runs } from '../runs.js';

const pages = 6;
/** By block, in pages and bytes: nothing, one byte, exact pages, the whole memory, more than that. */
const sizes = [
  0,
  1,
  page_bytes,
  page_bytes + 1,
  2 * page_bytes,
  3 * page_bytes - 1,
  page_bytes,
  1,
  pages * page_bytes,
  pages * page_bytes + 1,
];

interface Known {
  pins: number;
  isFilling: boolean;
  isProven: boolean;
}

/** What must be true of the memory after each step, told by what was done. */
class Model {
  readonly real = SharedBlocks.create(pages * page_bytes);
  /** What may be there; whatever nobody has pinned may be gone. */
  readonly known = new Map<number, Known>();
  readonly pinned: { readonly block: number; readonly handle: Pinned }[] = [];
  filling: { readonly block: number; readonly handle: Pinned } | undefined;

  pagesOf(block: number): number {
    return Math.max(1, Math.ceil(sizes[block]! / page_bytes));
  }

  get freePages(): number {
    let free = pages;
    for (const [block, { pins }] of this.known) if (pins > 0) free -= this.pagesOf(block);
    return free;
  }

  isHeld(block: number): boolean {
    return (this.known.get(block)?.pins ?? 0) > 0;
  }

  claim(block: number): void {
    // It would wait for this very thread.
    if (this.filling?.block === block) return;
    const claim = this.real.claim(placeOf(block, sizes[block]!));
    if (claim.kind === 'full') {
      if (this.isHeld(block) || this.pagesOf(block) <= this.freePages) throw new Error('full, with room');
      if (!this.real.has(placeOf(block, sizes[block]!))) this.known.delete(block);
      return;
    }
    if (claim.kind === 'ready') {
      this.#ready(block, claim.block);
      return;
    }
    if (this.isHeld(block)) throw new Error('a pinned block is gone');
    if (this.pagesOf(block) > this.freePages) throw new Error('room that was not there');
    if (this.real.isProven(claim.block)) throw new Error('an empty block is proven');
    this.known.set(block, { pins: 1, isFilling: true, isProven: false });
    if (this.filling !== undefined) {
      this.real.abandon(claim.block);
      this.known.delete(block);
    } else this.filling = { block, handle: claim.block };
  }

  find(block: number): void {
    if (this.real.has(placeOf(block, sizes[block]!))) this.claim(block);
    else if (this.isHeld(block)) throw new Error('a pinned block is not found');
  }

  fill(): void {
    if (this.filling === undefined) return;
    const { block, handle } = this.filling;
    this.real.fill(handle, bytesOf(block, 0, sizes[block]!));
    this.known.get(block)!.isFilling = false;
    this.pinned.push(this.filling);
    this.filling = undefined;
  }

  abandon(): void {
    if (this.filling === undefined) return;
    this.real.abandon(this.filling.handle);
    this.known.delete(this.filling.block);
    if (this.real.has(placeOf(this.filling.block, sizes[this.filling.block]!)))
      throw new Error('still there');
    this.filling = undefined;
  }

  release(which: number): void {
    const [released] = this.pinned.splice(which % Math.max(1, this.pinned.length), 1);
    if (released === undefined) return;
    this.real.release(released.handle);
    this.known.get(released.block)!.pins--;
  }

  prove(which: number): void {
    const one = this.pinned[which % Math.max(1, this.pinned.length)];
    if (one === undefined) return;
    this.real.prove(one.handle);
    this.known.get(one.block)!.isProven = true;
  }

  /** Whatever is pinned has its own bytes, each and in part. */
  check(from: number, length: number): void {
    for (const { block, handle } of this.pinned) {
      const start = Math.min(from, sizes[block]!);
      const end = Math.min(start + length, sizes[block]!);
      const target = Buffer.alloc(end - start + 2, 0x55);
      this.real.copy(handle, start, end, target, 1);
      if (!target.subarray(1, -1).equals(bytesOf(block, start, end))) throw new Error('other bytes');
      if (target[0] !== 0x55 || target.at(-1) !== 0x55) throw new Error('too many bytes');
      if (this.real.isProven(handle) !== this.known.get(block)!.isProven) throw new Error('proof of another');
    }
  }

  /** All is let go: the whole memory can be had again. */
  end(): void {
    this.abandon();
    while (this.pinned.length > 0) this.release(0);
    takeAll(this.real, pages);
  }

  #ready(block: number, handle: Pinned): void {
    const known = this.known.get(block);
    if (known === undefined || known.isFilling) throw new Error('bytes that nobody brought');
    known.pins++;
    this.pinned.push({ block, handle });
  }
}

/** Nothing may have been lost on the way: as many blocks of a page fit in as there are pages. */
function takeAll(blocks: SharedBlocks, count: number): void {
  const claims = Array.from({ length: count }, (_, index) => blocks.claim(placeOf(1000 + index, page_bytes)));
  if (claims.some(({ kind }) => kind !== 'claimed')) throw new Error('room was lost');
  if (blocks.claim(placeOf(2000, 0)).kind !== 'full') throw new Error('room that is not there');
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('claim' as const), fc.nat(sizes.length - 1)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('find' as const), fc.nat(sizes.length - 1)) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('fill' as const), fc.constant(0)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('abandon' as const), fc.constant(0)) },
  { weight: 5, arbitrary: fc.tuple(fc.constant('release' as const), fc.nat(9)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('prove' as const), fc.nat(9)) },
);

void t.test('as a map would do, but bounded', async (test) => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.nat(2 * page_bytes),
      fc.nat(page_bytes),
      (steps, from, length) => {
        const model = new Model();
        for (const [what, which] of steps) {
          model[what](which);
          model.check(from, length);
        }
        model.end();
      },
    ),
    runs(1000),
  );
  test.pass('no counterexample');
});

void t.test('bytes of a wrong size are refused, and block nobody', async (test) => {
  const blocks = SharedBlocks.create(4 * page_bytes);
  const place = placeOf(1, 100);
  const claim = blocks.claim(place);
  if (claim.kind !== 'claimed') throw new Error('it is empty');
  test.throws(() => {
    blocks.fill(claim.block, Buffer.alloc(99));
  }, RangeError);
  test.equal(blocks.claim(place).kind, 'claimed', 'the next one begins anew');
});

void t.test(
  'what is larger than the memory is refused, and so is anything while all is pinned',
  async (test) => {
    const blocks = SharedBlocks.create(2 * page_bytes);
    test.equal(blocks.claim(placeOf(1, 2 * page_bytes + 1)).kind, 'full');
    const claim = blocks.claim(placeOf(2, 2 * page_bytes));
    if (claim.kind !== 'claimed') throw new Error('there is room');
    test.equal(blocks.claim(placeOf(3, 0)).kind, 'full');
    blocks.fill(claim.block, bytesOf(2, 0, 2 * page_bytes));
    test.equal(blocks.claim(placeOf(3, 0)).kind, 'full', 'filled, and still pinned');
    blocks.release(claim.block);
    test.equal(blocks.claim(placeOf(3, 0)).kind, 'claimed');
    test.notOk(blocks.has(placeOf(2, 2 * page_bytes)), 'it had to go');
  },
);

void t.test('four threads, much work and little room', async (test) => {
  const count = 60;
  const blocks = SharedBlocks.create(count * page_bytes);
  const works = [1, 2, 3, 4].map((seed): HammerWork => ({
    memory: blocks.memory,
    seed,
    rounds: 3000,
    places: 80,
  }));
  const script = new URL('./shared-blocks-worker.js', import.meta.url);
  const results = (await runThreads(script, works)) as HammerResult[];
  test.equal(results.length, 4);
  for (const { wrong, found, filled } of results) {
    test.equal(wrong, 0, 'never other bytes');
    test.ok(found > filled && filled > 0, 'some were found, some had to be brought');
  }
  takeAll(blocks, count);
});
