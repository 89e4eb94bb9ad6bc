// A worker's packs: every chunk is in one, every row in the records of one, and names its chunks right.

import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { ChunkTable } from '../../lib/backup/chunk-table.js';
import type { FinishedPack } from '../../lib/backup/messages.js';
import { PackMaker } from '../../lib/backup/pack-maker.js';
import { ByteReader, ByteWriter } from '../../lib/bytes/cursor.js';
import { comparePaths } from '../../lib/bytes/path.js';
import { chunkId } from '../../lib/crypto/index.js';
import { encodeAttributes } from '../../lib/manifest/entry.js';
import { manifestLimits } from '../../lib/manifest/layout.js';
import { decodeRecords, type PackRecords } from '../../lib/manifest/records.js';
import { encodeRow, type StoredSegment } from '../../lib/manifest/row-stream.js';
import type { Row, Segment } from '../../lib/manifest/types.js';
import { verifyPack } from '../../lib/pack/decode.js';
import { packLimits } from '../../lib/pack/layout.js';
import { decodePackInfo, encodePackInfo } from '../../lib/pack/table.js';
import type { PackInfo } from '../../lib/pack/types.js';
import { entryOf, headerOf, stream } from '../manifest/fixture.js';
import { noise, packContext } from '../pack/fixture.js';
import { runs } from '../runs.js';

const context = await packContext();
const { run } = headerOf(1, '');

interface Made {
  readonly info: PackInfo;
  readonly records: PackRecords;
}

/** A maker, what it has stored, and what came of it. */
class Making {
  readonly packs: Made[] = [];
  readonly rows: Row[] = [];
  readonly maker: PackMaker;
  #parts = 0;
  readonly #spare: SharedArrayBuffer[] = [];

  constructor(of: { known?: ReadonlySet<string>; compressionLevel?: number | null } = {}) {
    this.maker = new PackMaker({
      ...context,
      catalog: { hasChunk: (id) => of.known?.has(Buffer.from(id).toString('hex')) ?? false },
      table: new ChunkTable(undefined, 1 << 18),
      orphansUsed: new Uint8Array(8),
      stream,
      run,
      sequence: 1,
      compressionLevel: of.compressionLevel ?? null,
      nextPart: () => this.#parts++,
      send: (pack) => {
        this.packs.push(opened(Buffer.from(pack.bytes), pack.info));
        this.#spare.push(pack.bytes.buffer);
      },
      spareMemory: () => this.#spare.pop(),
    });
  }

  file(path: string, content: readonly StoredSegment[]): void {
    const segments: Segment[] = content.map(({ id, size_bytes }) =>
      id === undefined ? { kind: 'hole', size_bytes } : { kind: 'chunk', id: Buffer.from(id), size_bytes },
    );
    const size_bytes = segments.reduce((sum, segment) => sum + segment.size_bytes, 0);
    const entry = entryOf({ size_bytes, content: segments });
    const attributes = new ByteWriter();
    encodeAttributes(attributes, entry);
    const row: Row = { op: 'added', path: Buffer.from(path), entry };
    this.rows.push(row);
    this.maker.record({ op: 'added', path: row.path, attributes: attributes.view(), content });
  }

  /** All rows that the records have, in path order. */
  recorded(): Row[] {
    const all = this.packs.flatMap(({ records }) => records.rows);
    return all.sort((a, b) => comparePaths(a.path, b.path));
  }

  expected(): Row[] {
    return [...this.rows].sort((a, b) => comparePaths(a.path, b.path));
  }

  chunkIds(): string[] {
    return this.packs.flatMap(({ info }) =>
      info.blocks.flatMap(({ chunks }) => chunks.map(({ id }) => Buffer.from(id).toString('hex'))),
    );
  }
}

/** Checks the pack down to its last byte, and that what a commit will say of it is true. */
function opened(bytes: Uint8Array, info: FinishedPack['info']): Made {
  const end = verifyPack(context, bytes, info.name);
  const writer = new ByteWriter();
  encodePackInfo(writer, info);
  const told = decodePackInfo(new ByteReader(writer.view(), 'a pack'), 'a pack');
  if (!isDeepStrictEqual(told.blocks, end.info.blocks))
    throw new Error('a commit would tell of other blocks');
  const { rows, ...records } = decodeRecords(end.records, end.info);
  return { info: end.info, records: { ...records, rows: [...rows()] } };
}

t.test('any files, in any runs, over any blocks and packs', async () => {
  const action = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('file' as const),
        seeds: fc.array(fc.nat({ max: 60 }), { maxLength: 5 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('run' as const) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('block' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('pack' as const) }) },
  );
  const property = fc.property(fc.array(action, { maxLength: 40 }), fc.nat({ max: 999 }), (actions, turn) => {
    const making = new Making();
    const { maker } = making;
    const stored = new Set<number>();
    // Runs are in path order, but follow each other in another.
    let runNumber = turn;
    let fileNumber = 0;
    for (const action of actions) {
      if (action.kind === 'run') {
        maker.endRun();
        runNumber = (runNumber * 7 + 13) % 1009;
      } else if (action.kind === 'block') maker.flushBlock();
      else if (action.kind === 'pack') {
        if (!maker.isEmpty) maker.close();
      } else {
        const content = action.seeds.map((seed): StoredSegment => {
          if (seed === 0) return { id: undefined, size_bytes: 4096, own: undefined };
          stored.add(seed);
          return maker.store(Buffer.alloc(seed * 50, `chunk ${seed}`));
        });
        making.file(
          `${String(runNumber).padStart(4, '0')}/${String(fileNumber++).padStart(4, '0')}`,
          content,
        );
      }
    }
    maker.close({ header: headerOf(1, ''), otherPacks: making.packs.map(({ info }) => info.name) });
    const ids = making.chunkIds();
    return (
      isDeepStrictEqual(making.recorded(), making.expected()) &&
      ids.length === stored.size &&
      new Set(ids).size === ids.length &&
      new Set(making.packs.map(({ records }) => records.part)).size === making.packs.length &&
      making.packs.at(-1)!.records.last?.otherPacks.length === making.packs.length - 1
    );
  });
  fc.assert(property, runs(60));
});

t.test('a pack that is full in the middle of a file', async (t) => {
  const making = new Making();
  const { maker } = making;
  const small = maker.store(Buffer.from('small, before'));
  making.file('a', [small]);
  const content: StoredSegment[] = [];
  for (let index = 0; index < 6; index++) {
    content.push(maker.store(noise(packLimits.chunk_bytes, index + 1)));
    content.push(maker.store(Buffer.from(`small ${index}`)));
  }
  making.file('b', [small, ...content]);
  t.equal(making.packs.length, 1, 'one is full');
  making.file('c', [small, content[0]!, content.at(-1)!, maker.store(Buffer.from('small, behind'))]);
  maker.close();
  t.equal(making.packs.length, 2);
  t.ok(isDeepStrictEqual(making.recorded(), making.expected()));
  t.equal(new Set(making.chunkIds()).size, 14);
  t.equal(
    maker.newBytes,
    6 * packLimits.chunk_bytes + 'small, before'.length + 6 * 7 + 'small, behind'.length,
  );
  t.equal(
    maker.storedBytes > maker.newBytes && maker.storedBytes < maker.newBytes * 1.01,
    true,
    'blocks weigh what is in them',
  );
});

t.test('so many tiny chunks that a pack is full of them', async (t) => {
  const making = new Making({ compressionLevel: 1 });
  const count = packLimits.targetChunks + 20_000;
  const plain = Buffer.alloc(4);
  const segments: StoredSegment[] = [];
  for (let index = 0; index < count; index++) {
    plain.writeUInt32LE(index);
    segments.push(making.maker.store(plain));
    if (segments.length === 1000) making.file(String(index).padStart(9, '0'), segments.splice(0));
  }
  making.file('the rest', segments);
  making.maker.close();
  t.ok(making.packs.length >= 2);
  t.equal(new Set(making.chunkIds()).size, count);
  t.ok(isDeepStrictEqual(making.recorded(), making.expected()));
  const most = Math.max(
    ...making.packs.flatMap(({ info }) => info.blocks.map(({ chunks }) => chunks.length)),
  );
  t.ok(most <= packLimits.chunksPerBlock);
});

t.test('a content of more segments than a row holds, of chunks of its own pack', async (t) => {
  const making = new Making();
  const stored = Array.from({ length: 200 }, (_, index) => making.maker.store(Buffer.from(`chunk ${index}`)));
  const count = 2 * manifestLimits.segmentsPerRow + 1;
  const content = Array.from({ length: count }, (_, index) => stored[index % stored.length]!);
  making.file('long', content);
  making.file('longer', stored);
  making.maker.close();
  t.equal(making.packs.length, 1);
  t.ok(isDeepStrictEqual(making.recorded(), making.expected()));
});

t.test('records that weigh much close a pack that has room for blocks', async (t) => {
  const making = new Making();
  const xattrs = [{ name: Buffer.from('user.large'), value: Buffer.alloc(60_000, 'x') }];
  for (let index = 0; index < 300; index++) {
    const entry = entryOf({ type: 'fifo', xattrs });
    const row: Row = { op: 'changed', path: Buffer.from(String(index).padStart(6, '0')), entry };
    making.rows.push(row);
    making.maker.record(encodeRow(row));
  }
  making.maker.close();
  t.ok(making.packs.length > 1);
  t.ok(isDeepStrictEqual(making.recorded(), making.expected()));
});

t.test('what the repository or another worker has is not stored', async (t) => {
  const known = chunkId(context.keys, Buffer.from('known'));
  const making = new Making({ known: new Set([known.toString('hex')]) });
  const first = making.maker.store(Buffer.from('known'));
  t.strictSame(first, { id: known, size_bytes: 5, own: undefined });
  const mine = making.maker.store(Buffer.from('new'));
  const again = making.maker.store(Buffer.from('new'));
  t.ok(mine.own);
  t.equal(again.own, undefined);
  making.file('a', [first, mine, again]);
  t.notOk(making.maker.isEmpty);
  making.maker.close();
  t.ok(making.maker.isEmpty);
  t.equal(making.maker.newBytes, 3);
  t.strictSame(making.chunkIds(), [Buffer.from(mine.id!).toString('hex')]);
  t.ok(isDeepStrictEqual(making.recorded(), making.expected()));
});
