// The attributes of an entry are the same bytes whether they come from an object, from bare numbers, or from the file system.

import type { BigIntStats } from 'node:fs';
import fs from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { setSourceStatus } from '../../lib/backup/status-entry.js';
import { ByteReader, ByteWriter } from '../../lib/bytes/cursor.js';
import { decodeAttributes, encodeAttributes } from '../../lib/manifest/entry.js';
import { manifestLimits } from '../../lib/manifest/layout.js';
import { checkStatus, decodeStatus, encodeStatus, MutableStatus } from '../../lib/manifest/status.js';
import type { Entry, EntryType } from '../../lib/manifest/types.js';
import { joinDevice } from '../../lib/posix/nodes.js';
import { FileStatus } from '../../lib/posix/status.js';
import { entry as anyEntry } from '../property/formats-arbitraries.js';
import { runs } from '../runs.js';
import { entryOf } from './fixture.js';

const { S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK } = fs.constants;
const typeBits: Record<EntryType, number> = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
  'character-device': S_IFCHR,
  'block-device': S_IFBLK,
};

/** As node:fs would show the entry; `size_bytes` of something that has one there and none here. */
function statsOf(entry: Entry, size_bytes: number): BigIntStats {
  return {
    mode: BigInt(entry.mode | typeBits[entry.type]),
    uid: BigInt(entry.uid),
    gid: BigInt(entry.gid),
    nlink: BigInt(entry.links),
    ino: entry.inode,
    dev: entry.device,
    size: BigInt(size_bytes),
    blocks: 8n,
    mtimeNs: entry.mtime_ns,
    ctimeNs: entry.ctime_ns,
    rdev: joinDevice(entry.rdevMajor, entry.rdevMinor),
  } as unknown as BigIntStats;
}

function ofStatus(entry: Entry): Buffer {
  const seen = new FileStatus();
  seen.setStats(statsOf(entry, entry.type === 'file' ? entry.size_bytes : 4096));
  const status = new MutableStatus();
  setSourceStatus(status, seen, entry.size_bytes, entry.target.length);
  const writer = new ByteWriter();
  encodeStatus(writer, status, entry.target, entry.xattrs);
  return writer.view();
}

function ofObject(entry: Entry): Buffer {
  const writer = new ByteWriter();
  encodeAttributes(writer, entry);
  return writer.view();
}

t.test('any entry', async () => {
  const property = fc.property(anyEntry, (entry) => {
    const bytes = ofStatus(entry);
    if (!bytes.equals(ofObject(entry))) return false;
    const reader = new ByteReader(bytes, 'an entry');
    const decoded = decodeAttributes(reader);
    reader.end();
    const status = new MutableStatus();
    decodeStatus(bytes, 0, status);
    checkStatus(status, new ByteReader(bytes, 'an entry'));
    return decoded.mtime_ns === entry.mtime_ns && decoded.inode === entry.inode;
  });
  fc.assert(property, runs(500));
});

t.test('what no limit admits is refused both ways with the same word', async (t) => {
  const value = (size_bytes: number) => Buffer.alloc(size_bytes, 'v');
  const tooLarge: Entry[] = [
    entryOf({ type: 'symlink', target: value(manifestLimits.target_bytes + 1) }),
    entryOf({ xattrs: [{ name: value(manifestLimits.xattrName_bytes + 1), value: value(1) }] }),
    entryOf({ xattrs: [{ name: value(1), value: value(manifestLimits.xattrValue_bytes + 1) }] }),
    entryOf({
      xattrs: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((name) => ({
        name: Buffer.from(name),
        value: value(manifestLimits.xattrValue_bytes),
      })),
    }),
    entryOf({ mtime_ns: (2n ** 51n + 1n) * 1_000_000_000n }),
    entryOf({ mtime_ns: 2n ** 60n * 1_000_000_000n }),
    entryOf({ ctime_ns: -(2n ** 60n) * 1_000_000_000n }),
  ];
  for (const [index, entry] of tooLarge.entries()) {
    t.throws(() => ofObject(entry), { code: 'manifest.entry_too_large' }, `object ${index}`);
    t.throws(() => ofStatus(entry), { code: 'manifest.entry_too_large' }, `numbers ${index}`);
  }
});
