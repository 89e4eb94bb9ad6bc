// Paths as people type them: absolute ones of the source, relative ones, and names with \xNN as listings show bytes that are
// not text. Pure.

import { joinPath, printable, splitPath } from '../lib/bytes/path.js';

const slash = 0x2f;
const empty = Buffer.alloc(0);

/** 'a\xffb' as its bytes; undefined where nothing is escaped. */
function unescape(text: string): Buffer | undefined {
  if (!/\\x[0-9a-f]{2}/.test(text)) return undefined;
  const parts = text.split(/(\\x[0-9a-f]{2})/);
  return Buffer.concat(
    parts.map((part, index) => (index % 2 === 0 ? Buffer.from(part) : Buffer.from(part.slice(2), 'hex'))),
  );
}

/** Without '.' and empty components; '..' stays and is simply never found. */
function normalise(path: Uint8Array): Buffer {
  return splitPath(path)
    .filter((name) => !(name.length === 1 && name[0] === 0x2e))
    .reduce((joined, name) => joinPath(joined, name), empty);
}

function below(path: Buffer, directory: Buffer): Buffer | undefined {
  if (path.equals(directory)) return empty;
  if (directory.length === 0) return path;
  const isBelow = path.subarray(0, directory.length).equals(directory) && path[directory.length] === slash;
  return isBelow ? path.subarray(directory.length + 1) : undefined;
}

/** What to say of a path that was not found; Node hands bytes that are not text over as U+FFFD, which no file is called. */
export function pathGuidance(text: string, sourcePath: Uint8Array): string {
  return text.includes('\ufffd')
    ? "type bytes that are not text as 'rrbackup files' shows them: \\xNN, in quotes"
    : `paths count from ${printable(sourcePath)}`;
}

/**
 * What a path argument may mean, likeliest first, each relative to the source's root: an absolute path inside of the source,
 * then one that counts from the source's root; both as typed, then with its \xNN escapes taken for bytes.
 */
export function pathReadings(text: string, sourcePath: Uint8Array): Buffer[] {
  const readings: Buffer[] = [];
  for (const bytes of [Buffer.from(text), unescape(text)]) {
    if (bytes === undefined) continue;
    const path = normalise(bytes);
    const inSource = bytes[0] === slash ? below(path, normalise(sourcePath)) : undefined;
    if (inSource !== undefined) readings.push(inSource);
    if (inSource === undefined || !inSource.equals(path)) readings.push(path);
  }
  return readings;
}
