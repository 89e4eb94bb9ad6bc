// How far ahead of a reader to go: every byte once and in order, bounded, with signs of the reader in between.

import fc from 'fast-check';
import t from 'tap';
import { FileLayout } from '../../lib/mount/cache/file-layout.js';
import type { WalkedFile } from '../../lib/mount/prefetch/walk.js';
import { Window } from '../../lib/mount/prefetch/window.js';
import { fileEntry } from './repository.js';
import { runs } from '../runs.js';

const mebi = 2 ** 20;
const limits = { initial_bytes: mebi, maximum_bytes: 8 * mebi, lead_bytes: 0 };

function filesOf(sizes: readonly number[]): WalkedFile[] {
  return sizes.map((size_bytes, row) => {
    const layout = new FileLayout(fileEntry(size_bytes === 0 ? [] : [{ kind: 'hole', size_bytes }]));
    return { row, directory: 1, from: 1, layout };
  });
}

const sizes = fc.array(
  fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 1, max: 9 * mebi })),
  { minLength: 1, maxLength: 40 },
);

void t.test(
  'takes every byte behind the first read once, in order, and never more than its size',
  async (test) => {
    fc.assert(
      fc.property(sizes, fc.nat(9 * mebi), fc.infiniteStream(fc.nat(3)), (all, any, choices) => {
        const files = filesOf(all);
        const first = Math.min(any, all[0]!);
        const window = new Window(files.values(), first, limits);
        const expected = all.flatMap((end, row) => {
          const start = row === 0 ? first : 0;
          return start < end ? [{ row, start, end }] : [];
        });
        if (!window.isEmpty || window.hasRoom(limits.maximum_bytes))
          throw new Error('it begins with nothing');
        const waiting: { position: number; cost: number }[] = [];
        let unmarked = 0;
        let last = 0;
        window.grow();
        for (let item = window.peek(); item !== undefined; item = window.peek()) {
          const before = window.size_bytes;
          if (!window.hasRoom(limits.maximum_bytes)) {
            // Only a sign of the reader lets it go on.
            const met = waiting.splice(0, 1 + choices.next().value!);
            window.seen(met.at(-1)!.position);
            if (window.size_bytes < before || window.size_bytes > limits.maximum_bytes)
              throw new Error('size');
            unmarked = 0;
            continue;
          }
          const next = expected[0]!;
          if (item.file.row !== next.row || item.start !== next.start) throw new Error('left something out');
          if (item.end <= item.start || item.end > next.end || item.end - item.start > mebi)
            throw new Error('ends');
          if (!window.isNext(item.file.row, item.start)) throw new Error('is not next');
          if (item.end === next.end) expected.shift();
          else expected[0] = { ...next, start: item.end };
          // A whole half of a window without a sign would end it.
          unmarked = item.isMarker ? 0 : unmarked + item.end - item.start;
          if (unmarked > window.size_bytes / 2 + mebi) throw new Error('no marker in half a window');
          const position = window.take(item);
          if (position <= last) throw new Error('positions go up');
          waiting.push({ position, cost: position - last });
          last = position;
          const ahead = waiting.filter((each) => !window.isSeen(each.position));
          const sum = ahead.reduce((bytes, { cost }) => bytes + cost, 0);
          if (sum > window.size_bytes + mebi + 512) throw new Error('too much ahead');
          if (window.size_bytes !== before) throw new Error('grows without a sign');
        }
        return expected.length === 0;
      }),
      runs(300),
    );
    test.pass('no counterexample');
  },
);

void t.test('many readers share the room', async (test) => {
  const window = new Window(filesOf([9 * mebi]).values(), 0, limits);
  for (let sign = 0; sign < 9; sign++) window.grow();
  test.equal(window.size_bytes, limits.maximum_bytes);
  window.take(window.peek()!);
  test.equal(window.hasRoom(mebi), false);
  test.equal(window.hasRoom(2 * mebi), true);
});

void t.test('nothing but empty files', async (test) => {
  const window = new Window(filesOf([0, 0, 0]).values(), 0, limits);
  test.equal(window.peek(), undefined);
  window.grow();
  test.equal(window.hasRoom(limits.maximum_bytes), false);
});
