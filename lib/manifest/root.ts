// The bodies of roots: of a log entry (a version) and of a checkpoint. Both are a header and what they contain: references to
// parts, and the last of packs and rows themselves where they are small.

import { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { newerFormat } from '../errors/index.js';
import { versionId_bytes } from '../pack/table.js';
import { decodeHeader, encodeHeader } from './header.js';
import { logKinds, manifestLimits, maximumObject_bytes } from './layout.js';
import type { PartReference, VersionHeader } from './types.js';

/** Packs are those of the parts in order, then the inline ones; rows likewise. */
export interface Contents {
  readonly packParts: readonly PartReference[];
  readonly rowParts: readonly PartReference[];
  readonly inlinePacks: Uint8Array;
  readonly inlineRows: Uint8Array;
}

/** First byte of a checkpoint's body. */
const checkpointKinds = { tree: 1 } as const;

const minimumReference_bytes = 32 + 1 + 1;

function encodeParts(writer: ByteWriter, parts: readonly PartReference[]): void {
  writer.varint(parts.length);
  for (const part of parts)
    writer.raw(Buffer.from(part.hash, 'hex')).varint(part.size_bytes).text(part.versionId);
}

function decodeParts(reader: ByteReader): PartReference[] {
  const count = reader.varint();
  if (count * minimumReference_bytes > reader.remaining) reader.fail(`${count} parts`);
  return Array.from({ length: count }, () => ({
    hash: reader.raw(manifestLimits.hash_bytes).toString('hex'),
    size_bytes: reader.varint(maximumObject_bytes),
    versionId: reader.text(versionId_bytes),
  }));
}

function encodeContents(writer: ByteWriter, contents: Contents): void {
  encodeParts(writer, contents.packParts);
  encodeParts(writer, contents.rowParts);
  writer.bytes(contents.inlinePacks).bytes(contents.inlineRows);
}

function decodeContents(reader: ByteReader): Contents {
  const packParts = decodeParts(reader);
  const rowParts = decodeParts(reader);
  const inlinePacks = reader.bytes(manifestLimits.body_bytes);
  const inlineRows = reader.bytes(manifestLimits.body_bytes);
  reader.end();
  return { packParts, rowParts, inlinePacks, inlineRows };
}

/** u8 kind ‖ header ‖ contents. */
export function encodeCommitRoot(header: VersionHeader, contents: Contents): Buffer {
  const writer = new ByteWriter().u8(logKinds.version);
  encodeHeader(writer, header);
  encodeContents(writer, contents);
  return writer.view();
}

export function decodeCommitRoot(plain: Buffer, what: string): { header: VersionHeader; contents: Contents } {
  const reader = new ByteReader(plain, what);
  if (reader.u8() !== logKinds.version) throw newerFormat(what);
  const header = decodeHeader(reader);
  return { header, contents: decodeContents(reader) };
}

/** u8 kind ‖ hash of the commit's root 32 ‖ header ‖ contents. */
export function encodeCheckpointRoot(commitHash: string, header: VersionHeader, contents: Contents): Buffer {
  const writer = new ByteWriter().u8(checkpointKinds.tree).raw(Buffer.from(commitHash, 'hex'));
  encodeHeader(writer, header);
  encodeContents(writer, contents);
  return writer.view();
}

export function decodeCheckpointRoot(
  plain: Buffer,
  what: string,
): { commitHash: string; header: VersionHeader; contents: Contents } {
  const reader = new ByteReader(plain, what);
  if (reader.u8() !== checkpointKinds.tree) throw newerFormat(what);
  const commitHash = reader.raw(manifestLimits.hash_bytes).toString('hex');
  const header = decodeHeader(reader);
  return { commitHash, header, contents: decodeContents(reader) };
}
