import fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { ByteReader, ByteWriter } from '../../lib/bytes/cursor.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { ChainReader } from '../../lib/manifest/chain.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import { decodeEntry, encodeEntry } from '../../lib/manifest/entry.js';
import { decodeRecords, encodeRecords } from '../../lib/manifest/records.js';
import { decodeCommitRoot } from '../../lib/manifest/root.js';
import { rowPieces, RowReader, RowWriter } from '../../lib/manifest/rows.js';
import type { Row } from '../../lib/manifest/types.js';
import { verifyPack } from '../../lib/pack/decode.js';
import { packKey } from '../../lib/pack/names.js';
import { PackReader } from '../../lib/pack/reader.js';
import { decodePackInfo, encodePackInfo } from '../../lib/pack/table.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { collect, manifestContext, readHistory, stream, writeCommit } from '../manifest/fixture.js';
import { buildPack, placesOf } from '../pack/fixture.js';
import { blocks, entry, firstHeader, rows } from './formats-arbitraries.js';
import { runs } from '../runs.js';

const context = await manifestContext();
const fresh = () => ({ ...context, store: new MemoryStore() });

function encodeRows(all: readonly Row[]): Buffer {
  const writer = new ByteWriter();
  const rowWriter = new RowWriter(writer);
  for (const row of all) for (const piece of rowPieces(row)) rowWriter.add(piece);
  return writer.take();
}

/** Decoders of hostile bytes either decode or say that they do not; nothing else may come out. */
function isRefusal(error: unknown): boolean {
  return error instanceof RrbackupError && ['damaged', 'newer_format', 'tampered'].includes(error.kind);
}

function decodesOrRefuses(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    return isRefusal(error);
  }
}

t.test('entries come back', async () => {
  const property = fc.property(entry, (expected) => {
    const writer = new ByteWriter();
    encodeEntry(writer, expected);
    const reader = new ByteReader(writer.view(), 'an entry');
    const decoded = decodeEntry(reader);
    reader.end();
    return isDeepStrictEqual(decoded, expected);
  });
  fc.assert(property, runs(500));
});

t.test('rows come back, however they are divided', async () => {
  const property = fc.property(rows, fc.nat({ max: 12 }), (expected, cut) => {
    const reader = new RowReader('rows');
    const payloads = [encodeRows(expected.slice(0, cut)), encodeRows(expected.slice(cut))];
    const decoded = payloads.flatMap((payload) => [...reader.read(payload)]);
    reader.end();
    return isDeepStrictEqual(decoded, expected);
  });
  fc.assert(property, runs(300));
});

t.test('packs come back: their table, their records, every chunk', async () => {
  const property = fc.asyncProperty(blocks, fc.uint8Array(), async (plains, records) => {
    const store = new MemoryStore();
    const { bytes, info } = buildPack(context, plains, records);
    const { versionId } = await store.put(packKey(info.name), bytes);
    const end = verifyPack(context, bytes, info.name);
    const writer = new ByteWriter();
    encodePackInfo(writer, { ...info, versionId });
    const listed = decodePackInfo(new ByteReader(writer.view(), 'a pack'), 'a pack');
    const reader = new PackReader({ ...context, store });
    const places = placesOf(listed);
    const read = await reader.readBlocks(places);
    const ids = info.blocks.flatMap(({ chunks }) => chunks.map(({ id }) => id));
    const chunks = places.map((place, index) => reader.chunkFrom(read.get(place.block)!, place, ids[index]!));
    return (
      isDeepStrictEqual(chunks, plains.flat()) &&
      isDeepStrictEqual(listed, { ...end.info, versionId }) &&
      end.records.equals(records)
    );
  });
  await fc.assert(property, runs(60));
});

t.test('commits come back', async () => {
  const property = fc.asyncProperty(firstHeader(stream), rows, blocks, async (header, expected, plains) => {
    const own = fresh();
    const { info } = buildPack(own, plains);
    await writeCommit(own, header, expected, [info]);
    const [commit] = (await readHistory(own)).commits;
    return (
      isDeepStrictEqual(commit!.header, header) &&
      isDeepStrictEqual(await collect(commit!.rows()), expected) &&
      isDeepStrictEqual(await collect(commit!.packs()), [info])
    );
  });
  await fc.assert(property, runs(60));
});

t.test('checkpoints come back', async () => {
  const property = fc.asyncProperty(firstHeader(stream), rows, async (header, some) => {
    const own = fresh();
    const tree = some.filter(({ op }) => op === 'added');
    const commitHash = 'ab'.repeat(32);
    await writeCheckpoint(own, { commitHash, header, packs: [], rows: tree });
    const checkpoint = await new ChainReader(own).checkpoint(stream, 1);
    return (
      checkpoint.commitHash === commitHash &&
      isDeepStrictEqual(checkpoint.header, header) &&
      isDeepStrictEqual(await collect(checkpoint.rows()), tree)
    );
  });
  await fc.assert(property, runs(60));
});

t.test('records come back', async () => {
  const { info } = buildPack(context, []);
  const property = fc.property(firstHeader(stream), rows, fc.boolean(), (header, expected, isLast) => {
    const last = isLast ? { last: { header, otherPacks: [info.name] } } : {};
    const records = { stream, run: header.run, sequence: 1, part: 7, rows: expected, ...last };
    const {
      firstPath,
      rowCount,
      rows: read,
      ...decoded
    } = decodeRecords(
      encodeRecords(records, () => undefined),
      info,
    );
    return (
      isDeepStrictEqual({ ...decoded, rows: [...read()] }, records) &&
      isDeepStrictEqual([rowCount, firstPath], [expected.length, expected[0]?.path])
    );
  });
  fc.assert(property, runs(200));
});

t.test('no parser crashes, hangs or believes lengths, whatever the bytes', async () => {
  const { info } = buildPack(context, []);
  const parsers: ((bytes: Uint8Array) => unknown)[] = [
    (bytes) => decodeEntry(new ByteReader(bytes, 'an entry')),
    (bytes) => [...new RowReader('rows').read(bytes)],
    (bytes) => decodePackInfo(new ByteReader(bytes, 'a pack'), 'a pack'),
    (bytes) => decodeCommitRoot(Buffer.from(bytes), 'a commit'),
    (bytes) => decodeRecords(bytes, info),
    (bytes) => verifyPack(context, bytes, info.name),
  ];
  const property = fc.property(fc.uint8Array({ maxLength: 300, size: 'max' }), (bytes) =>
    parsers.every((parse) => decodesOrRefuses(() => parse(bytes))),
  );
  fc.assert(property, runs(1000));
});

t.test('rows with a byte changed are refused or are other rows, never a crash', async () => {
  const property = fc.property(rows, fc.nat(), fc.integer({ min: 1, max: 255 }), (some, at, change) => {
    const bytes = encodeRows(some);
    if (bytes.length > 0) bytes[at % bytes.length]! ^= change;
    return decodesOrRefuses(() => [...new RowReader('rows').read(bytes)]);
  });
  fc.assert(property, runs(1000));
});
