// Versions that somebody with the repository's keys has made by hand: rows that can be no tree, and a tree of all that is allowed and
// means harm.

import { ByteWriter } from '../../lib/bytes/cursor.js';
import { CommitWriter } from '../../lib/manifest/commit.js';
import type { ManifestContext } from '../../lib/manifest/object.js';
import { rowPieces, RowWriter } from '../../lib/manifest/rows.js';
import type { Entry, Row, VersionHeader } from '../../lib/manifest/types.js';
import { directory, entryOf, headerOf } from '../manifest/fixture.js';

export const symlink = (target: string): Partial<Entry> => ({ type: 'symlink', target: Buffer.from(target) });
export const row = (path: string | Buffer, fields: Partial<Entry> = {}): Row => ({
  op: 'added',
  path: Buffer.from(path as string),
  entry: entryOf(fields),
});

/** Rows as they are, whatever a writer would say to them. */
export async function commitByHand(
  context: ManifestContext,
  parent: { stream: string; sequence: number; hash: string },
  rows: readonly Row[],
  fields: Partial<VersionHeader> = {},
): Promise<void> {
  const writer = new CommitWriter({ ...context, stream: parent.stream });
  const bytes = new ByteWriter();
  const rowWriter = new RowWriter(bytes);
  for (const row of rows) for (const piece of rowPieces(row)) rowWriter.add(piece);
  const [first, last] = [Buffer.from('a'), Buffer.from('z')];
  await writer.addEncodedRows({ bytes: bytes.view(), count: rows.length, first, last });
  await writer.publish(headerOf(parent.sequence + 1, parent.hash, { stream: parent.stream, ...fields }));
}

const long = 'n'.repeat(256);
export const impossible: Readonly<Record<string, readonly Row[]>> = {
  'two dots': [row('..')],
  'two dots below': [row('d/..')],
  'a way up': [row('../outside/evil')],
  'a way up through a directory': [row('d/../../outside/evil')],
  'a dot': [row('.')],
  'a dot below': [row('d/./evil')],
  'an absolute path': [row('/outside/evil')],
  'an empty name': [row('d//evil')],
  'a slash at the end': [row('d/')],
  'NUL in a name': [row('d/evil\0.txt')],
  'a name of 256 bytes': [row(long)],
  'a path in a file': [row('d/file/evil')],
  'a path in a symlink to a directory outside': [row('e', symlink('../outside')), row('e/evil')],
  'a directory that becomes a symlink with something below': [
    { op: 'changed', path: Buffer.from('d'), entry: entryOf(symlink('/tmp')) },
    row('d/evil'),
  ],
  'a path in a directory that is not there': [row('e/evil')],
  'one name twice': [row('e', directory), row('e', symlink('../outside')), row('e/evil')],
  'a name behind its own order': [row('e/evil'), row('e', symlink('../outside'))],
  'a removed directory with something below': [{ op: 'removed', path: Buffer.from('d') }, row('d/evil')],
  'no root and everything else': [{ op: 'removed', path: Buffer.alloc(0) }, row('evil')],
};

const own = { uid: process.geteuid!(), gid: process.getegid!() };
export const harmful: readonly Row[] = [
  row('0 255 bytes', directory),
  row(`0 255 bytes/${'n'.repeat(255)}`),
  row('1 links', directory),
  row('1 links/absolute', symlink('/etc')),
  row('1 links/itself', symlink('itself')),
  row('1 links/outside', symlink('../../outside')),
  row('2 case', directory),
  row('2 case/README'),
  row('2 case/Readme', directory),
  row('2 case/Readme/inside'),
  row('2 case/readme', symlink('../../outside')),
  row('3 escapes', directory),
  row('3 escapes/\x1b[2J\x1b]0;title\x07'),
  row(Buffer.from('3 escapes/\xff\xfe', 'latin1')),
  row('4 temporary', directory),
  row('4 temporary/.rrbackup-partial-0', symlink('../../outside/a')),
  row('4 temporary/.rrbackup-partial-1', symlink('../../outside/b')),
  row('4 temporary/file'),
  row('5 hard', directory),
  row('5 hard/link', { links: 3, inode: 7n, device: 7n, ...symlink('../../outside') }),
  row('5 hard/twin', { links: 3, inode: 7n, device: 7n }),
  row('5 hard/zz', { links: 3, inode: 7n, device: 7n, ...directory }),
  row('5 hard/zz/inside'),
].map((row): Row => (row.op === 'removed' ? row : { ...row, entry: { ...row.entry, ...own } }));
