import t from 'tap';
import {
  counted,
  formatBytes,
  formatCount,
  formatDuration,
  formatIsoTime,
  formatLocalTime,
} from '../../../commands/presentation/units.js';

t.test('sizes', async (t) => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536, '1.5 KiB'],
    [10 * 1024, '10 KiB'],
    [1023 * 1024, '1.0 MiB'],
    [999 * 1024, '999 KiB'],
    [1024 ** 3 * 2.5, '2.5 GiB'],
    [1024 ** 5 * 5000, '5000 PiB'],
  ];
  for (const [size, text] of cases) t.equal(formatBytes(size), text);
});

t.test('counts', async (t) => {
  t.strictSame([0, 999, 1000, 1234567].map(formatCount), ['0', '999', '1,000', '1,234,567']);
  t.strictSame([counted(1, 'file'), counted(2000, 'entry', 'entries')], ['1 file', '2,000 entries']);
});

t.test('durations', async (t) => {
  const cases: [number, string][] = [
    [0.4, '0 ms'],
    [999, '999 ms'],
    [999.7, '1.0 s'],
    [4200, '4.2 s'],
    [9949, '9.9 s'],
    [9950, '10 s'],
    [59_499, '59 s'],
    [59_999, '1 min 00 s'],
    [185_000, '3 min 05 s'],
    [3_599_600, '1 h 00 min'],
    [7_620_000, '2 h 07 min'],
    [100_800_000, '1 d 4 h'],
  ];
  for (const [duration, text] of cases) t.equal(formatDuration(duration), text);
});

t.test('times, to the nanosecond for programs, before 1970 and beyond what a Date holds', async (t) => {
  t.equal(formatIsoTime(1_700_000_000_123_456_789n), '2023-11-14T22:13:20.123456789Z');
  t.equal(formatIsoTime(-1n), '1969-12-31T23:59:59.999999999Z');
  t.equal(formatIsoTime(2n ** 63n - 1n), '2262-04-11T23:47:16.854775807Z');
  t.equal(formatIsoTime(10n ** 25n), '@10000000000000000.000000000');
  t.equal(formatLocalTime(10n ** 25n), '@10000000000000000');
  const local = formatLocalTime(1_700_000_000_999_999_999n);
  t.match(local, /^2023-11-1[45] \d\d:\d\d:20$/);
  t.equal(Math.floor(new Date(local.replace(' ', 'T')).getTime() / 1000), 1_700_000_000, 'it is local time');
});
