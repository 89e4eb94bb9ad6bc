// What --json prints. Field names are part of the interface and documented in the README; times are ISO 8601 with
// nanoseconds in UTC, sizes are bytes, and names that are not UTF-8 come in base64 too.

import { isUtf8 } from 'node:buffer';
import { printable } from '../../lib/bytes/path.js';
import type { VersionInfo } from '../../lib/catalog/types.js';
import type { Entry } from '../../lib/manifest/types.js';
import { formatIsoTime } from './units.js';

/** One line of JSON that is harmless on a terminal too: control characters and marks of direction are escaped. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'bigint' ? String(item) : item,
  ).replace(
    /[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** {path: …}, and {path_base64: …} where the bytes are not UTF-8, with a readable path beside. */
export function bytesToJson(name: string, bytes: Uint8Array): Record<string, string> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf8(buffer)) return { [name]: buffer.toString('utf8') };
  return { [name]: printable(buffer), [`${name}_base64`]: buffer.toString('base64') };
}

export function entryToJson(entry: Entry): Record<string, unknown> {
  return {
    type: entry.type,
    mode: entry.mode.toString(8).padStart(4, '0'),
    uid: entry.uid,
    gid: entry.gid,
    size_bytes: entry.size_bytes,
    mtime: formatIsoTime(entry.mtime_ns),
    ...(entry.type === 'symlink' ? bytesToJson('target', entry.target) : {}),
    ...(entry.links > 1 && entry.type !== 'directory' ? { links: entry.links } : {}),
    ...(entry.type.endsWith('device') ? { rdev: [entry.rdevMajor, entry.rdevMinor] } : {}),
  };
}

export function toVersionJson(
  version: VersionInfo,
  name: string,
  isReadable: boolean,
): Record<string, unknown> {
  const { header, hash, stored_bytes } = version;
  const { statistics } = header;
  return {
    version: header.sequence,
    time: name,
    readable: isReadable,
    started: formatIsoTime(header.started_ns),
    finished: formatIsoTime(header.finished_ns),
    host: header.host,
    source: header.source,
    ...bytesToJson('source_path', header.sourcePath),
    files: statistics.files,
    directories: statistics.directories,
    others: statistics.others,
    size_bytes: statistics.bytes,
    added: statistics.added,
    changed: statistics.changed,
    removed: statistics.removed,
    unreadable: statistics.unreadable,
    new_bytes: statistics.newBytes,
    stored_bytes,
    program: header.program,
    commit: hash,
  };
}
