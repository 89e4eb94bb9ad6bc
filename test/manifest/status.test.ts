// The short way to what stat(2) shows says what the long one says, and fails where bytes are missing.

import fc from 'fast-check';
import t from 'tap';
import { ByteWriter } from '../../lib/bytes/cursor.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { encodeEntry } from '../../lib/manifest/entry.js';
import { decodeStatus, MutableStatus } from '../../lib/manifest/status.js';
import type { Entry } from '../../lib/manifest/types.js';
import { entry as anyEntry } from '../property/formats-arbitraries.js';
import { runs } from '../runs.js';

const second_ns = 1_000_000_000n;

function bytesOf(entry: Entry): Buffer {
  const writer = new ByteWriter();
  encodeEntry(writer, entry);
  return writer.take();
}

void t.test('the same as the whole entry', (test) => {
  const status = new MutableStatus();
  fc.assert(
    fc.property(anyEntry, fc.nat(20), (entry, start) => {
      decodeStatus(Buffer.concat([Buffer.alloc(start, 0xff), bytesOf(entry)]), start, status);
      const { type, mode, uid, gid, links, size_bytes, rdevMajor, rdevMinor } = entry;
      const wanted = { type, mode, uid, gid, links, size_bytes, rdevMajor, rdevMinor };
      for (const [key, value] of Object.entries(wanted))
        if (status[key as keyof typeof wanted] !== value) throw new Error(`${key} is not ${value}`);
      if (status.target_bytes !== entry.target.length) throw new Error('another target');
      const mtime_ns = BigInt(status.mtime_s) * second_ns + BigInt(status.mtimeRest_ns);
      const ctime_ns = BigInt(status.ctime_s) * second_ns + BigInt(status.ctimeRest_ns);
      if (mtime_ns !== entry.mtime_ns || ctime_ns !== entry.ctime_ns) throw new Error('another time');
      const whole = (high: number, low: number) => (BigInt(high) << 32n) | BigInt(low);
      if (whole(status.inodeHigh, status.inodeLow) !== entry.inode) throw new Error('another inode');
      if (whole(status.deviceHigh, status.deviceLow) !== entry.device) throw new Error('another device');
    }),
    runs(2000),
  );
  test.end();
});

void t.test('what is cut short is an error, and never a hang', (test) => {
  fc.assert(
    fc.property(anyEntry, fc.nat(24), fc.uint8Array({ maxLength: 60 }), (entry, length, noise) => {
      for (const bytes of [bytesOf(entry).subarray(0, Math.min(length, 14)), noise]) {
        try {
          decodeStatus(bytes, 0, new MutableStatus());
          if (bytes !== noise) throw new Error('it was taken for whole');
        } catch (error) {
          if (!(error instanceof RrbackupError)) throw error;
        }
      }
    }),
    runs(2000),
  );
  test.end();
});
