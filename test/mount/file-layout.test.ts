// Which chunks a range touches: held against a plain array of bytes.

import fc from 'fast-check';
import t from 'tap';
import { FileLayout, placed } from '../../lib/mount/cache/file-layout.js';
import type { Entry, Segment } from '../../lib/manifest/types.js';
import { placeOf } from './blocks.js';
import { digest, fileEntry } from './repository.js';
import { runs } from '../runs.js';

const segments = fc.array(
  fc.record({
    kind: fc.constantFrom('chunk' as const, 'hole' as const),
    size_bytes: fc.integer({ min: 1, max: 9 }),
  }),
  { maxLength: 12 },
);

function entryOf(parts: readonly { kind: 'chunk' | 'hole'; size_bytes: number }[]): Entry {
  return fileEntry(
    parts.map(({ kind, size_bytes }, index): Segment =>
      kind === 'hole' ? { kind, size_bytes } : { kind, size_bytes, id: digest(String(index)) },
    ),
  );
}

/** Each byte as 'segment:offset in it', holes as ''. */
function bytesOf(parts: readonly { kind: 'chunk' | 'hole'; size_bytes: number }[]): string[] {
  return parts.flatMap(({ kind, size_bytes }, index) =>
    Array.from({ length: size_bytes }, (_, at) =>
      kind === 'hole' ? '' : `${digest(String(index)).toString('hex')}:${at}`,
    ),
  );
}

void t.test('pieces cover a range as the file has it', async (test) => {
  fc.assert(
    fc.property(segments, fc.nat(120), fc.nat(120), (parts, one, other) => {
      const layout = new FileLayout(entryOf(parts));
      const bytes = bytesOf(parts);
      const [offset, end] = [one, other].map((at) => Math.min(at, bytes.length)).sort((a, b) => a - b) as [
        number,
        number,
      ];
      const covered = Array.from({ length: end - offset }, () => '');
      let last = 0;
      for (const { id, chunk_bytes, from, to, at } of layout.pieces(offset, end)) {
        if (at < last || from >= to || to > chunk_bytes)
          throw new Error('a piece that is none, or out of order');
        last = at + to - from;
        for (let index = from; index < to; index++)
          covered[at + index - from] = `${Buffer.from(id).toString('hex')}:${index}`;
      }
      return covered.join() === bytes.slice(offset, end).join();
    }),
    runs(500),
  );
  test.pass('no counterexample');
});

void t.test('the segment around a byte', async (test) => {
  fc.assert(
    fc.property(segments, fc.nat(120), (parts, any) => {
      const size = parts.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
      const { start, end } = new FileLayout(entryOf(parts)).segmentAround(
        Math.min(any, Math.max(0, size - 1)),
      );
      if (size === 0) return start === 0 && end === 0;
      const offset = Math.min(any, size - 1);
      const starts = parts.map((_, index) =>
        parts.slice(0, index).reduce((sum, part) => sum + part.size_bytes, 0),
      );
      const index = starts.indexOf(start);
      return start <= offset && offset < end && index >= 0 && end - start === parts[index]!.size_bytes;
    }),
    runs(100),
  );
  test.pass('no counterexample');
});

void t.test('a content that is not as long as the file is damage', async (test) => {
  const entry = entryOf([{ kind: 'chunk', size_bytes: 5 }]);
  for (const size_bytes of [0, 4, 6])
    test.throws(() => new FileLayout({ ...entry, size_bytes }), { code: 'mount.short_content' });
});

void t.test('a chunk that is nowhere, or of another size, is damage', async (test) => {
  const [piece] = new FileLayout(entryOf([{ kind: 'chunk', size_bytes: 5 }])).pieces(0, 5);
  test.throws(() => placed({ chunk: () => undefined }, piece!), { code: 'mount.unknown_chunk' });
  test.throws(() => placed({ chunk: () => placeOf(1, 6) }, piece!), { code: 'mount.wrong_size' });
  test.equal(placed({ chunk: () => placeOf(1, 9, [2, 7]) }, piece!).place.offset_bytes, 2);
});
