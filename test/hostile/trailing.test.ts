// Bytes behind the end: whatever a decoder takes, it refuses with any byte behind it, sealed with the right keys or not.

import t from 'tap';
import { ByteReader, ByteWriter } from '../../lib/bytes/cursor.js';
import { sha256 } from '../../lib/crypto/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { encodeDescriptor, parseDescriptor } from '../../lib/keys/index.js';
import { parseSlot } from '../../lib/keys/slots.js';
import { checkpointMagic, commitMagic, partMagic, partTypes } from '../../lib/manifest/layout.js';
import { openObject, partBinding, rootBinding, sealObject } from '../../lib/manifest/object.js';
import { decodeRecords, encodeRecords } from '../../lib/manifest/records.js';
import {
  decodeCheckpointRoot,
  decodeCommitRoot,
  encodeCheckpointRoot,
  encodeCommitRoot,
} from '../../lib/manifest/root.js';
import { RowReader, RowWriter, rowPieces } from '../../lib/manifest/rows.js';
import { StoredRowReader } from '../../lib/manifest/stored-rows.js';
import { decodeBody, encodeBody } from '../../lib/pack/body.js';
import { verifyPack } from '../../lib/pack/index.js';
import { decodePackInfo, encodePackInfo, scanPackInfo } from '../../lib/pack/table.js';
import { cheap, created } from '../keys/helpers.js';
import { createSlot } from '../../lib/keys/slots.js';
import { added, directory, headerOf, stream } from '../manifest/fixture.js';
import { buildPack, noise, packContext, repositoryId } from '../pack/fixture.js';

const context = await packContext();
const { zstd, keys } = context;
const { bytes: pack, info } = buildPack(context, [[Buffer.from('a chunk')]]);
const header = headerOf(1, '');
const table = new ByteWriter();
encodePackInfo(table, info);
const rows = [
  added('', directory),
  added('file', { size_bytes: 3, content: [{ kind: 'hole', size_bytes: 3 }] }),
];
const encodedRows = new ByteWriter();
const rowWriter = new RowWriter(encodedRows);
for (const row of rows) for (const piece of rowPieces(row)) rowWriter.add(piece);
const contents = {
  packParts: [],
  rowParts: [],
  inlinePacks: table.take(),
  inlineRows: encodedRows.take(),
};
const records = {
  stream,
  run: header.run,
  sequence: 1,
  part: 0,
  rows,
  last: { header, otherPacks: [info.name] },
};
const fields = { repository: repositoryId, encryption: 'none', conditionalCreate: true, created } as const;
const slot = { secret: Buffer.alloc(32), password: 'p', repositoryId, name: 'me', created, kdf: cheap };

/** To the last byte, as those do who read a part. */
function toTheEnd(bytes: Uint8Array, decode: (reader: ByteReader, what: string) => unknown): void {
  const reader = new ByteReader(bytes, 'a table');
  while (reader.remaining > 0) decode(reader, 'a table');
}

function object(magic: string, binding: Buffer) {
  return {
    bytes: sealObject(context, magic, binding, Buffer.from('a body')).bytes,
    read: (bytes: Buffer): unknown => openObject(context, magic, binding, bytes, 'an object'),
  };
}

const decoders: Readonly<Record<string, { bytes: Buffer; read(bytes: Buffer): unknown }>> = {
  commit: object(commitMagic, rootBinding(stream, 1)),
  checkpoint: object(checkpointMagic, rootBinding(stream, 1)),
  'part of rows': object(partMagic, partBinding(stream, partTypes.rows)),
  'part of packs': object(partMagic, partBinding(stream, partTypes.packs)),
  pack: { bytes: pack, read: (bytes) => verifyPack(context, bytes, sha256(bytes).toString('hex')) },
  'body of a commit': {
    bytes: encodeCommitRoot(header, contents),
    read: (bytes) => decodeCommitRoot(bytes, 'a commit'),
  },
  'body of a checkpoint': {
    bytes: encodeCheckpointRoot('ab'.repeat(32), header, contents),
    read: (bytes) => decodeCheckpointRoot(bytes, 'a checkpoint'),
  },
  'body that is compressed': {
    bytes: encodeBody(zstd, Buffer.alloc(1000), 1000),
    read: (bytes) => decodeBody(zstd, bytes, 1000, 'a body'),
  },
  'body that is not': {
    bytes: encodeBody(zstd, noise(100), 1000),
    read: (bytes) => decodeBody(zstd, bytes, 1000, 'a body'),
  },
  rows: {
    bytes: contents.inlineRows,
    read: (bytes) => {
      const reader = new RowReader('rows');
      const read = [...reader.read(bytes)];
      reader.end();
      return read;
    },
  },
  'rows as they are stored': {
    bytes: contents.inlineRows,
    read: (bytes) => {
      const reader = new StoredRowReader('rows', { rows: 100, room_bytes: 0 });
      const read = [...reader.read(bytes)];
      reader.end();
      return read;
    },
  },
  'table of packs': {
    bytes: contents.inlinePacks,
    read: (bytes) => {
      toTheEnd(bytes, decodePackInfo);
    },
  },
  'table of packs as it is stored': {
    bytes: contents.inlinePacks,
    read: (bytes) => {
      toTheEnd(bytes, scanPackInfo);
    },
  },
  records: {
    bytes: Buffer.from(encodeRecords(records, () => undefined)),
    read: (bytes) => decodeRecords(bytes, info),
  },
  descriptor: { bytes: encodeDescriptor(fields, keys), read: parseDescriptor },
  'key slot': { bytes: createSlot(slot).bytes, read: (bytes) => parseSlot(bytes, repositoryId) },
};

/** Means nothing behind JSON. */
const whiteSpace = new Set([0x09, 0x0a, 0x0d, 0x20]);

for (const [what, { bytes, read }] of Object.entries(decoders)) {
  void t.test(what, (t) => {
    t.doesNotThrow(() => read(bytes));
    const isJson = bytes[0] === 0x7b;
    for (let byte = 0; byte < 256; byte++) {
      if (isJson && whiteSpace.has(byte)) continue;
      try {
        read(Buffer.concat([bytes, Buffer.of(byte)]));
        t.fail(`accepted with ${byte} behind it`);
      } catch (error) {
        if (!(error instanceof RrbackupError)) t.fail(`${byte}`, { error });
      }
    }
    t.end();
  });
}
