// Bytes out of blocks on this machine: right, or none at all.

import t from 'tap';
import { FileLayout, type PlacedPiece } from '../../lib/mount/cache/file-layout.js';
import { LocalContent, type Decoder } from '../../lib/mount/cache/local-content.js';
import { SharedBlocks } from '../../lib/mount/cache/shared-blocks.js';
import type { Segment } from '../../lib/manifest/types.js';
import type { LocalBlocks } from '../../lib/pack/local-blocks.js';
import type { ChunkPlace } from '../../lib/pack/types.js';
import { placeOf } from './blocks.js';
import { digest, fileEntry } from './repository.js';

/** Stored blocks are plain ones with a sum before them; what the sum does not fit is damaged. */
class Machine implements LocalBlocks, Decoder {
  readonly stored = new Map<number, Buffer>();
  readonly rejected: number[] = [];
  reads = 0;

  store(block: number, plain: string): void {
    this.stored.set(block, Buffer.concat([digest(plain), Buffer.from(plain)]));
  }

  read({ block }: ChunkPlace): Buffer | undefined {
    this.reads++;
    return this.stored.get(block);
  }

  reject({ block }: ChunkPlace): void {
    this.rejected.push(block);
  }

  close(): void {
    this.stored.clear();
  }

  decode(place: ChunkPlace, stored: Uint8Array): Buffer {
    const plain = Buffer.from(stored.subarray(32));
    if (!digest(plain).equals(stored.subarray(0, 32))) throw new Error(`block ${place.block} is damaged`);
    return plain;
  }

  chunkFrom(block: Buffer, { offset_bytes, size_bytes }: ChunkPlace, id: Uint8Array): Buffer {
    const chunk = block.subarray(offset_bytes, offset_bytes + size_bytes);
    if (!digest(chunk).equals(id)) throw new Error('a chunk is not what its id says');
    return chunk;
  }
}

/** A file of chunks and holes; each chunk says in which block it lies and where. */
class File {
  readonly places = new Map<string, ChunkPlace>();
  readonly segments: Segment[] = [];
  whole = '';

  chunk(text: string, place: ChunkPlace): this {
    const id = digest(text);
    this.places.set(id.toString('hex'), place);
    this.segments.push({ kind: 'chunk', id, size_bytes: text.length });
    this.whole += text;
    return this;
  }

  hole(size_bytes: number): this {
    this.segments.push({ kind: 'hole', size_bytes });
    this.whole += '\0'.repeat(size_bytes);
    return this;
  }

  pieces(offset: number, end: number): PlacedPiece[] {
    const pieces = new FileLayout(fileEntry(this.segments)).pieces(offset, end);
    return pieces.map((piece) => ({
      ...piece,
      place: this.places.get(Buffer.from(piece.id).toString('hex'))!,
    }));
  }
}

function newContent(size_bytes = 2 ** 20): { machine: Machine; content: LocalContent } {
  const machine = new Machine();
  const shared = SharedBlocks.create(size_bytes);
  return { machine, content: new LocalContent({ shared, local: machine, decoder: machine }) };
}

/** undefined where it must be fetched. */
function read(content: LocalContent, file: File, offset: number, end: number): string | undefined {
  const target = Buffer.alloc(end - offset, 0x55);
  return content.read(file.pieces(offset, end), target) ? target.toString('latin1') : undefined;
}

void t.test(
  'every range of a file with chunks and holes, in blocks alone and shared, with room and with little',
  async (test) => {
    for (const size_bytes of [2 ** 20, 1]) {
      const { machine, content } = newContent(size_bytes);
      machine.store(0, 'abc');
      machine.store(1, '..defgh,i');
      const file = new File()
        .hole(2)
        .chunk('abc', placeOf(0, 3))
        .hole(5)
        .chunk('defgh', placeOf(1, 9, [2, 7]))
        .chunk('i', placeOf(1, 9, [8, 9]))
        .hole(2);
      for (let from = 0; from <= file.whole.length; from++)
        for (let to = from; to <= file.whole.length; to++)
          if (read(content, file, from, to) !== file.whole.slice(from, to)) test.fail(`${from} to ${to}`);
      if (size_bytes > 1) test.equal(machine.reads, 2, 'each block is decoded once');
      test.strictSame(machine.rejected, []);
    }
  },
);

void t.test('what is not on this machine', async (test) => {
  const { machine, content } = newContent();
  machine.store(0, 'here');
  const file = new File().chunk('here', placeOf(0, 4)).chunk('away', placeOf(1, 4));
  test.equal(read(content, file, 0, 8), undefined);
  test.equal(read(content, file, 0, 4), 'here');
  test.strictSame(machine.rejected, [], 'what is absent is not damaged');
  machine.store(1, 'away');
  test.equal(read(content, file, 0, 8), 'hereaway', 'once it has come');
});

void t.test('a damaged block is said, and had elsewhere', async (test) => {
  const { machine, content } = newContent();
  machine.store(0, 'whole');
  const stored = Buffer.from(machine.stored.get(0)!);
  stored[33]! ^= 1;
  machine.stored.set(0, stored);
  const file = new File().chunk('whole', placeOf(0, 5));
  test.equal(read(content, file, 0, 5), undefined);
  test.equal(content.load({ place: placeOf(0, 5), id: digest('whole') }), false);
  test.strictSame(machine.rejected, [0, 0]);
  machine.store(0, 'whole');
  test.equal(read(content, file, 0, 5), 'whole');
});

void t.test('a block of another size than its place says harms nobody', async (test) => {
  const { machine, content } = newContent();
  machine.store(0, 'longer than it should be');
  const file = new File().chunk('short', placeOf(0, 9, [0, 5]));
  const attempt = (): string | undefined => {
    try {
      return read(content, file, 0, 5);
    } catch {
      return undefined;
    }
  };
  test.equal(attempt(), undefined);
  test.equal(attempt(), undefined, 'nor does the next one wait for it');
  machine.store(0, 'short,,,,');
  test.equal(attempt(), 'short');
});

void t.test('a chunk that is not what its id says is never given out', async (test) => {
  await test.test('alone in its block', async (test) => {
    const { machine, content } = newContent();
    machine.store(0, 'wrong');
    const file = new File().chunk('right', placeOf(0, 5));
    for (let round = 0; round < 2; round++) {
      test.equal(read(content, file, 0, 5), undefined);
      test.equal(read(content, file, 1, 3), undefined);
    }
    test.ok(machine.rejected.length > 0);
  });
  await test.test('in a block with others, which are right', async (test) => {
    const { machine, content } = newContent();
    machine.store(0, 'first wrong last');
    const bad = new File().chunk('right', placeOf(0, 16, [6, 11]));
    const good = new File().chunk('first', placeOf(0, 16, [0, 5])).chunk('last', placeOf(0, 16, [12, 16]));
    for (let round = 0; round < 2; round++) {
      test.throws(() => read(content, bad, 0, 5), /not what its id says/);
      test.throws(() => read(content, bad, 2, 4), /not what its id says/, 'nor a part of it');
      test.equal(read(content, good, 0, 9), 'firstlast');
    }
  });
  await test.test('in a block that somebody else brought', async (test) => {
    const machine = new Machine();
    const shared = SharedBlocks.create(2 ** 20);
    const content = new LocalContent({ shared, local: machine, decoder: machine });
    const claim = shared.claim(placeOf(0, 5));
    if (claim.kind !== 'claimed') throw new Error('it is empty');
    shared.fill(claim.block, Buffer.from('wrong'));
    shared.release(claim.block);
    const file = new File().chunk('right', placeOf(0, 5));
    for (let round = 0; round < 2; round++) {
      test.throws(() => read(content, file, 0, 5), /not what its id says/);
      test.throws(() => read(content, file, 1, 2), /not what its id says/);
    }
  });
});

void t.test('nothing stays pinned, whatever went wrong', async (test) => {
  const machine = new Machine();
  const shared = SharedBlocks.create(1);
  const content = new LocalContent({ shared, local: machine, decoder: machine });
  machine.store(0, 'first wrong');
  const bad = new File().chunk('right', placeOf(0, 11, [6, 11]));
  test.throws(() => read(content, bad, 0, 5));
  test.equal(read(content, new File().chunk('none', placeOf(1, 4)), 0, 4), undefined);
  machine.store(2, 'good');
  test.equal(read(content, new File().chunk('good', placeOf(2, 4)), 0, 4), 'good', 'there is room again');
  test.equal(shared.has(placeOf(0, 11, [6, 11])), false);
});
