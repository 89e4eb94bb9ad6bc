// Writes the corpus anew from real objects: node dist/test/fuzz/make-corpus.js (scripts/soak-fuzz --corpus). Only what a change of
// a format makes necessary: keys in it are random, so that every run gives other bytes.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { ByteWriter } from '../../lib/bytes/cursor.js';
import { createSlot } from '../../lib/keys/slots.js';
import { encodeDescriptor } from '../../lib/keys/descriptor.js';
import { encodeEntry } from '../../lib/manifest/entry.js';
import { commitKey, checkpointKey } from '../../lib/manifest/names.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import { encodeRecords } from '../../lib/manifest/records.js';
import { rowPieces, RowWriter } from '../../lib/manifest/rows.js';
import { ChainReader } from '../../lib/manifest/chain.js';
import { checkpointMagic, commitMagic } from '../../lib/manifest/layout.js';
import { openObject, rootBinding } from '../../lib/manifest/object.js';
import type { Row } from '../../lib/manifest/types.js';
import { encodeBody } from '../../lib/pack/body.js';
import { openEnd, openPackHeader } from '../../lib/pack/decode.js';
import { encodePackInfo } from '../../lib/pack/table.js';
import {
  added,
  collect,
  directory,
  entryOf,
  headerOf,
  manifestContext,
  stream,
  writeCommit,
} from '../manifest/fixture.js';
import { buildPack, chunksOf, noise, repositoryId } from '../pack/fixture.js';
import { fuseRequests, httpAnswers, texts } from './corpus-texts.js';
import { corpusDirectory, hexLines } from './corpus.js';
import { mountedTree } from './server-targets.js';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-corpus-'));
const context = await manifestContext();

function keep(
  target: string,
  inputs: readonly Uint8Array[],
  suffix: '.hex' | '.gz.hex' | '.txt' = '.hex',
): void {
  const directory = path.join(corpusDirectory, target);
  fs.rmSync(directory, { recursive: true, force: true });
  fs.mkdirSync(directory, { recursive: true });
  for (const [index, input] of inputs.entries()) {
    const bytes =
      suffix === '.txt' ? input : hexLines(suffix === '.hex' ? input : gzipSync(input, { level: 9 }));
    fs.writeFileSync(path.join(directory, `${String(index + 1).padStart(2, '0')}${suffix}`), bytes);
  }
}

const text = Buffer.from('some text that repeats itself, some text that repeats itself. '.repeat(12));
const plains = [[text, Buffer.from('small')], [noise(300)], [Buffer.alloc(2000, 'zeros')]];
const [file] = chunksOf(context, [noise(300)]);
const rows: Row[] = [
  added('', { ...directory }),
  added('a', { ...directory, xattrs: [{ name: Buffer.from('user.k'), value: Buffer.from('v') }] }),
  added('a/file', {
    size_bytes: 300 + 4096,
    content: [
      { kind: 'chunk', ...file! },
      { kind: 'hole', size_bytes: 4096 },
    ],
  }),
  added('a/link', { type: 'symlink', target: Buffer.from('../x') }),
  added('a/node', { type: 'block-device', rdevMajor: 8, rdevMinor: 1, mtime_ns: -1n }),
  added('b', { links: 2, inode: 2n ** 63n + 5n, mode: 0o4755 }),
  { op: 'removed', path: Buffer.from('gone') },
  { op: 'changed', path: Buffer.from('z'), entry: entryOf({ type: 'fifo' }) },
];
const header = headerOf(1, '');
const rowBytes = (some: readonly Row[]): Buffer => {
  const bytes = new ByteWriter();
  const writer = new RowWriter(bytes);
  for (const row of some) for (const piece of rowPieces(row)) writer.add(piece);
  return bytes.take();
};

const about = { stream, run: header.run, sequence: 1, part: 0 };
const records = [
  encodeRecords({ ...about, rows }, () => undefined),
  encodeRecords(
    { ...about, rows: rows.slice(0, 2), last: { header, otherPacks: ['11'.repeat(32)] } },
    () => 0,
  ),
  encodeRecords({ ...about, rows: [rows[2]!] }, () => 1),
].map((bytes) => Buffer.from(bytes));
const packs = [buildPack(context, plains, records[0]), buildPack(context, [], records[1])];
keep('records', records);
keep(
  'pack',
  packs.map(({ bytes }) => bytes),
);
keep(
  'pack-directory',
  packs.map(({ bytes, info }) => {
    const key = openPackHeader(context, info.name, bytes);
    const blocks_bytes = info.blocks.reduce((sum, block) => sum + block.stored_bytes, info.header.length);
    return openEnd(context, info.name, key, bytes.length, bytes.subarray(blocks_bytes)).directory;
  }),
);
const infos = packs.map(({ info }) => ({ ...info, versionId: 'version' }));
keep(
  'pack-table',
  infos.map((info) => {
    const writer = new ByteWriter();
    encodePackInfo(writer, info);
    return writer.take();
  }),
);
const frame = context.zstd.compress(text, 3);
const block = (codec: number, plain_bytes: number, bytes: Uint8Array): Buffer =>
  new ByteWriter().u8(codec).u32(plain_bytes).raw(bytes).take();
keep('pack-block', [
  block(1, text.length, frame),
  block(0, 300, noise(300)),
  block(1, 0, context.zstd.compress(Buffer.alloc(0), 3)),
]);
keep('body', [
  encodeBody(context.zstd, text, 2 ** 20),
  encodeBody(context.zstd, noise(200), 2 ** 20),
  encodeBody(context.zstd, Buffer.alloc(100_000), 2 ** 20),
]);
keep('rows', [rowBytes(rows), rowBytes(rows.slice(2, 5))]);
keep(
  'entry',
  rows.flatMap((row) => {
    if (row.op === 'removed') return [];
    const writer = new ByteWriter();
    encodeEntry(writer, row.entry);
    return [writer.take()];
  }),
);

await writeCommit(context, header, rows, infos);
const commitRoot = await context.store.get(commitKey(stream, 1));
const [commit] = await collect(new ChainReader(context).commits(stream));
const tree = rows.filter(({ op }) => op === 'added');
await writeCheckpoint(context, { commitHash: commit!.hash, header, packs: infos, rows: tree });
const checkpointRoot = await context.store.get(checkpointKey(stream, 1));
keep('commit', [commitRoot]);
keep('checkpoint', [checkpointRoot]);
const binding = rootBinding(stream, 1);
keep('commit-root', [openObject(context, commitMagic, binding, commitRoot, 'it')]);
keep('checkpoint-root', [openObject(context, checkpointMagic, binding, checkpointRoot, 'it')]);

const created = '2026-11-21T03:00:00.000Z';
const slot = createSlot({
  secret: Buffer.alloc(32, 7),
  password: 'corpus',
  repositoryId,
  name: 'me@host',
  created,
}).bytes;
const descriptor = encodeDescriptor(
  { repository: repositoryId, encryption: 'password', conditionalCreate: true, created },
  context.keys,
);
keep('descriptor', [descriptor], '.txt');
keep('key-slot', [slot], '.txt');
const opening = {
  descriptor: descriptor.toString(),
  slot: { key: 'keys/0011223344556677', versionId: 'v', bytes: slot.toString() },
  checkedLast: 'slot',
  streams: { docs: stream },
};
keep(
  'opening',
  [Buffer.from(JSON.stringify(opening)), Buffer.from(JSON.stringify({ ...opening, slot: undefined }))],
  '.txt',
);
for (const [target, inputs] of Object.entries(texts))
  keep(
    target,
    inputs.map((input) => Buffer.from(input)),
    '.txt',
  );
keep('s3-answer', httpAnswers, '.txt');

const mounted = await mountedTree(scratch);
await mounted.repository.catalog.close();
keep('catalog-file', [fs.readFileSync(mounted.repository.catalogPath)], '.gz.hex');
fs.rmSync(scratch, { recursive: true });

const again = fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-corpus-'));
const { repository, tree: shown } = await mountedTree(again);
keep('fuse', fuseRequests(shown));
await repository.catalog.close();
fs.rmSync(again, { recursive: true });
