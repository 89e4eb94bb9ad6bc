import t from 'tap';
import { resolveVersion, versionNames, versionTime } from '../../lib/catalog/version-argument.js';
import type { VersionInfo } from '../../lib/catalog/types.js';

const version = (sequence: number, time: string): VersionInfo =>
  ({
    hash: '',
    header: { sequence, started_ns: BigInt(Date.parse(time)) * 1_000_000n },
  }) as unknown as VersionInfo;

const versions = [
  version(3, '2026-11-19T03:00:00Z'),
  version(4, '2026-11-20T03:00:00Z'),
  version(5, '2026-11-20T15:30:07.999Z'),
  version(7, '2026-11-21T03:00:00Z'),
];
const resolve = (text: string): [number, number] => {
  const { version, matches } = resolveVersion(text, versions);
  return [version.header.sequence, matches];
};

t.test('numbers and distances from the newest', async (t) => {
  t.strictSame(resolve('3'), [3, 1]);
  t.strictSame(resolve('007'), [7, 1]);
  t.strictSame(resolve('latest'), [7, 1]);
  t.strictSame(resolve('latest~0'), [7, 1]);
  t.strictSame(resolve('latest~1'), [5, 1]);
  t.strictSame(resolve('latest~3'), [3, 1]);
});

t.test('times, as far as they are written out; of several the newest', async (t) => {
  t.strictSame(resolve('2026-'), [7, 4]);
  t.strictSame(resolve('2026-11-2'), [7, 3]);
  t.strictSame(resolve('2026-11-20'), [5, 2]);
  t.strictSame(resolve('2026-11-20T03'), [4, 1]);
  for (const text of ['2026-11-20T15:30', '2026-11-20 15:30:07', '2026-11-20T15-30-07Z', '2026-11-20T15Z'])
    t.strictSame(resolve(text), [5, 1], text);
  for (const one of versions)
    t.equal(resolveVersion(versionTime(one), versions).version, one, 'what is shown can be typed');
});

const at = (now: string) => {
  const now_ns = BigInt(Date.parse(now)) * 1_000_000n;
  return (text: string): [number, number] => {
    const { version, matches } = resolveVersion(text, versions, now_ns);
    return [version.header.sequence, matches];
  };
};

t.test('a year, unless a version has that number', async (t) => {
  t.strictSame(resolve('2026'), [7, 4]);
  const numbered = [
    ...versions,
    version(2026, '2026-11-22T03:00:00Z'),
    version(2027, '2026-11-23T03:00:00Z'),
  ];
  t.equal(resolveVersion('2026', numbered).version.header.sequence, 2026);
  t.throws(() => resolve('02026'), { message: 'there is no version 02026' });
  t.throws(() => resolve('202'), { message: 'there is no version 202' });
});

t.test('today and yesterday are days of the calendar, in UTC', async (t) => {
  const late = at('2026-11-21T23:59:59Z');
  t.strictSame(late('today'), [7, 1]);
  t.strictSame(late('yesterday'), [5, 2]);
  t.strictSame(late(' Yesterday '), [5, 2]);
  const early = at('2026-11-21T00:00:00Z');
  t.strictSame(early('today'), [7, 1], 'a version of later that day, by a clock that was set back');
  t.strictSame(early('yesterday'), [5, 2]);
  t.throws(() => at('2026-11-25T12:00:00Z')('yesterday'), {
    code: 'version.not_found',
    message: 'there is no version of yesterday (2026-11-24, UTC)',
    guidance: 'the newest before that day is version 7, of 2026-11-21T03-00-00Z',
  });
  t.throws(() => at('2026-11-18T12:00:00Z')('today'), {
    message: 'there is no version of today (2026-11-18, UTC)',
    guidance: /rrbackup versions/,
  });
});

t.test('so long ago: the version that was the newest then', async (t) => {
  const then = at('2026-11-21T04:00:00Z');
  for (const [text, sequence] of [
    ['1 second ago', 7],
    ['59 minutes ago', 7],
    ['60 minutes ago', 7],
    ['61 minutes ago', 5],
    ['an hour ago', 7],
    ['2 hours ago', 5],
    ['1 day ago', 4],
    ['a day  ago', 4],
    ['One Day Ago', 4],
    ['2 days ago', 3],
    ['0 days ago', 7],
  ] as const)
    t.strictSame(then(text), [sequence, 1], text);
  t.throws(() => then('3 days ago'), {
    code: 'version.not_found',
    kind: 'not_found',
    message: 'no version is as old as 3 days ago (2026-11-18T04-00-00Z)',
    guidance: 'the oldest is version 3, of 2026-11-19T03-00-00Z',
  });
  t.throws(() => then('999999 years ago'), { message: /\(0001-01-01T00-00-00Z\)$/ });
  const later = at('2027-01-31T02:59:59Z');
  for (const [text, sequence] of [
    ['1 week ago', 7],
    ['71 days ago', 5],
    ['a month ago', 7],
    ['2 months ago', 7],
  ] as const)
    t.strictSame(later(text), [sequence, 1], text);
  t.strictSame(at('2027-11-20T02:59:59Z')('a year ago'), [3, 1]);
  t.strictSame(at('2027-11-20T03:00:00Z')('1 year ago'), [4, 1]);
  // The 31st of months that have none is their last day.
  t.strictSame(at('2027-03-31T00:00:00Z')('4 months ago'), [7, 1]);
  t.throws(() => at('2026-12-31T00:00:00Z')('10 months ago'), { message: /2026-02-28T00-00-00Z/ });
  t.throws(() => at('2028-03-31T00:00:00Z')('49 months ago'), { message: /2024-02-29T00-00-00Z/ });
});

t.test('two versions of one second have the names that the mount gives them', async (t) => {
  const twins = [version(1, '2026-11-20T03:00:00.1Z'), version(2, '2026-11-20T03:00:00.9Z')];
  const chosen = (text: string): number => resolveVersion(text, twins).version.header.sequence;
  t.strictSame([...versionNames(twins).values()], ['2026-11-20T03-00-00Z', '2026-11-20T03-00-00Z-2']);
  t.strictSame(['2026-11-20T03-00-00Z', '2026-11-20T03-00-00Z-2', '2026-11-20T03'].map(chosen), [1, 2, 2]);
  t.throws(() => chosen('2026-11-20T03-00-00Z-3'), { code: 'version.not_found' });
});

t.test('what is not there, and what is no version', async (t) => {
  for (const text of ['1', '6', '8', 'latest~4', '2025-', '2026-11-20T04', '2025'])
    t.throws(() => resolve(text), { code: 'version.not_found', kind: 'not_found' }, text);
  t.throws(() => resolve('9'), {
    message: 'there is no version 9',
    guidance: "the versions are 3 to 7: see 'rrbackup versions'",
  });
  for (const text of [
    '',
    'newest',
    'latest~',
    'latest~-1',
    '-1',
    '1.5',
    'latest~99999999999',
    '../x',
    '20T26',
  ])
    t.throws(() => resolve(text), { code: 'version.syntax', kind: 'usage' }, text);
  for (const text of [
    '2 days',
    'days ago',
    '-2 days ago',
    '2 fortnights ago',
    '2 daysago',
    'constructor',
    'tomorrow',
  ])
    t.throws(() => resolve(text), { code: 'version.syntax', kind: 'usage' }, text);
  t.throws(() => resolve('-2'), { message: "'-2' names no version", guidance: /latest~2/ });
  t.throws(() => resolveVersion('yesterday', []), { message: 'there is no version yet' });
  t.throws(() => resolveVersion('latest', []), { message: 'there is no version yet' });
  t.throws(() => resolveVersion('1', versions.slice(1, 2)), {
    message: 'there is no version 1',
    guidance: "the only version is 4: see 'rrbackup versions'",
  });
});
