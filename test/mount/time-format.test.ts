// Names of versions: what each format gives, and that it is always the name of a file.

import fc from 'fast-check';
import t from 'tap';
import type { VersionInfo } from '../../lib/catalog/types.js';
import { versionNames } from '../../lib/catalog/version-argument.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { timeFormatter } from '../../lib/mount/tree/time-format.js';
import { runs } from '../runs.js';

const time_ns = 1_795_230_007_123_456_789n; // 2026-11-21T03:00:07Z, a Saturday

// Node reads the variable anew: half an hour off the hour, on the other side of the world, and in the day before.
function inZone<Result>(zone: string, work: () => Result): Result {
  const before = process.env['TZ'];
  process.env['TZ'] = zone;
  try {
    return work();
  } finally {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  }
}

void t.test('what is written in them', async (test) => {
  const shown = (format: string): string => timeFormatter(format)(time_ns);
  test.equal(shown('utc'), '2026-11-21T03-00-07Z');
  test.equal(shown('samba'), '@GMT-2026.11.21-03.00.07');
  test.equal(shown('%Y%y%m%d %H%I%p%M%S %j'), '2026261121 0303AM0007 325');
  test.equal(shown('%a %A %b %B %%Y'), 'Sat Saturday Nov November %Y');
  test.equal(shown('%F %T %z %s'), '2026-11-21 03:00:07 +0000 1795230007');
  test.equal(
    inZone('Asia/Kolkata', () => shown('local')),
    '2026-11-21T08-30-07+0530',
  );
  test.equal(
    inZone('America/St_Johns', () => shown('local:%d. %H.%M %z %s')),
    '20. 23.30 -0330 1795230007',
  );
  test.equal(
    inZone('Asia/Kolkata', () => shown('%H.%M')),
    '03.00',
    'in UTC where nothing else is said',
  );
  test.equal(timeFormatter('utc')(-1_000_000_000n), '1969-12-31T23-59-59Z');
});

void t.test('what is none', async (test) => {
  for (const format of [
    '',
    'iso',
    'today',
    '%%',
    '%Q',
    '%',
    '%Y%',
    '%Y/%m',
    '%D',
    'local:',
    'UTC',
    'valueOf',
    'x\0%Y',
    `%Y${'x'.repeat(200)}`,
  ])
    test.throws(() => timeFormatter(format), { code: 'mount.time_format', kind: 'usage' }, format);
});

void t.test('whatever is asked for, it is the name of a file, or refused', async (test) => {
  const piece = fc.oneof(
    fc.constantFrom('%Y', '%m', '%d', '%H', '%M', '%S', '%z', '%%', '%B', 'local:', '-', '.'),
    fc.string(),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 8 }),
      fc.bigInt({ min: -(2n ** 62n), max: 2n ** 63n - 1n }),
      (pieces, at_ns) => {
        let name;
        try {
          name = timeFormatter(pieces.join(''))(at_ns);
        } catch (error) {
          return error instanceof RrbackupError && error.code === 'mount.time_format';
        }
        return (
          name.length > 0 &&
          Buffer.byteLength(name) < 200 &&
          !/[/\0]/.test(name) &&
          name !== '.' &&
          name !== '..'
        );
      },
    ),
    runs(2000),
  );
  test.pass();
});

void t.test('no two versions have one name, however coarse the format', async (test) => {
  const piece = fc.constantFrom(
    '%Y',
    '%m',
    '%d',
    '%H',
    '%s',
    '%z',
    '%B',
    '%A',
    '%p',
    '%j',
    '-',
    '-2',
    '2',
    ' ',
  );
  const pattern = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => `%H${pieces.join('')}`);
  // Near each other, and around 10^9 seconds, where %s grows longer.
  const time = fc.oneof(
    fc.integer({ min: 0, max: 200_000 }),
    fc.integer({ min: 999_999_900, max: 1_000_000_100 }),
  );
  fc.assert(
    fc.property(pattern, fc.array(time, { maxLength: 30 }), (format, times) => {
      const versions = times.map((seconds) => ({ header: { started_ns: BigInt(seconds) * 1_000_000_000n } }));
      const format_ns = timeFormatter(format);
      const names = versionNames(versions as VersionInfo[], ({ header }) => format_ns(header.started_ns));
      return new Set(names.values()).size === versions.length;
    }),
    runs(3000),
  );
  test.pass();
});
