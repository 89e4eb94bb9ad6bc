// One of the threads of shared-blocks.test.ts: does at random what the threads of a mount do with blocks, and checks every byte.

import { parentPort, workerData } from 'node:worker_threads';
import { SharedBlocks, type Pinned } from '../../lib/mount/cache/shared-blocks.js';
import { bytesOf, page_bytes, placeOf } from './blocks.js';

export interface HammerWork {
  readonly memory: SharedArrayBuffer;
  readonly seed: number;
  readonly rounds: number;
  readonly places: number;
}

export interface HammerResult {
  readonly wrong: number;
  readonly found: number;
  readonly filled: number;
  readonly full: number;
}

/** 0 to 5 pages, some a byte more or less. */
export function sizeOf(block: number): number {
  return Math.max(0, (block % 6) * page_bytes + ((block >>> 3) % 3) - 1);
}

if (workerData !== null) hammer(workerData as HammerWork);

function hammer({ memory, seed, rounds, places }: HammerWork): void {
  const blocks = new SharedBlocks(memory);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return Math.floor(((state >>> 8) / 2 ** 24) * below);
  };
  const counts = { wrong: 0, found: 0, filled: 0, full: 0 };
  const check = (pinned: Pinned, block: number): void => {
    const size = sizeOf(block);
    const from = random(size + 1);
    const to = Math.min(size, from + random(2 * page_bytes));
    const target = Buffer.alloc(to - from + 2, 0x55);
    blocks.copy(pinned, from, to, target, 1);
    const isRight = target.subarray(1, -1).equals(bytesOf(block, from, to));
    if (!isRight || target[0] !== 0x55 || target.at(-1) !== 0x55) counts.wrong++;
  };
  const held: { pinned: Pinned; block: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    const block = random(places);
    const place = placeOf(block, sizeOf(block));
    let pinned: Pinned | undefined;
    const claim = blocks.claim(place);
    if (claim.kind === 'full') counts.full++;
    else if (claim.kind === 'ready') pinned = claim.block;
    else if (random(8) === 0) blocks.abandon(claim.block);
    else {
      counts.filled++;
      blocks.fill(claim.block, bytesOf(block, 0, sizeOf(block)));
      pinned = claim.block;
    }
    if (pinned !== undefined) {
      counts.found++;
      check(pinned, block);
      held.push({ pinned, block });
    }
    if (held.length > 2) {
      // Still the same bytes, whatever happened around them.
      const { pinned: oldest, block: of } = held.shift()!;
      check(oldest, of);
      blocks.release(oldest);
    }
  }
  for (const { pinned } of held) blocks.release(pinned);
  const result: HammerResult = counts;
  parentPort?.postMessage(result);
}
