// A file is the same only if everything is that its status says of content and place: one thing changed at a time, whatever the
// kernel would have changed with it.

import t from 'tap';
import { isSameState } from '../../lib/backup/same-state.js';
import { setSourceStatus } from '../../lib/backup/status-entry.js';
import { MutableStatus } from '../../lib/manifest/status.js';
import { FileStatus } from '../../lib/posix/status.js';

const numbers = [
  'size_bytes',
  'mtime_s',
  'mtimeRest_ns',
  'ctime_s',
  'ctimeRest_ns',
  'inodeHigh',
  'inodeLow',
] as const;

const statusOf = (changes: Partial<FileStatus> = {}): FileStatus =>
  Object.assign(new FileStatus(), { mode: 0o100644, size_bytes: 10, inodeLow: 7 }, changes);

void t.test('one thing changed at a time', async (t) => {
  const before = new MutableStatus();
  setSourceStatus(before, statusOf(), 10, 0);
  t.ok(isSameState(statusOf(), before));
  t.ok(statusOf().isSameState(statusOf()));
  for (const number of numbers) {
    const now = statusOf();
    now[number]++;
    t.notOk(isSameState(now, before), number);
    t.notOk(now.isSameState(statusOf()), number);
  }
  t.notOk(isSameState(statusOf({ mode: 0o120644 }), before), 'type');
  for (const device of ['deviceHigh', 'deviceLow'] as const)
    t.notOk(statusOf({ [device]: 1 }).isSameState(statusOf()), device);
});
