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

t.test('two versions of one second have the names that the mount gives them', async (t) => {
  const twins = [version(1, '2026-11-20T03:00:00.1Z'), version(2, '2026-11-20T03:00:00.9Z')];
  const chosen = (text: string): number => resolveVersion(text, twins).version.header.sequence;
  t.strictSame([...versionNames(twins).values()], ['2026-11-20T03-00-00Z', '2026-11-20T03-00-00Z-2']);
  t.strictSame(['2026-11-20T03-00-00Z', '2026-11-20T03-00-00Z-2', '2026-11-20T03'].map(chosen), [1, 2, 2]);
  t.throws(() => chosen('2026-11-20T03-00-00Z-3'), { code: 'version.not_found' });
});

t.test('what is not there, and what is no version', async (t) => {
  for (const text of ['1', '6', '8', 'latest~4', '2025-', '2026-11-20T04', '2026'])
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
  t.throws(() => resolveVersion('latest', []), { message: 'there is no version yet' });
  t.throws(() => resolveVersion('1', versions.slice(1, 2)), {
    message: 'there is no version 1',
    guidance: "the only version is 4: see 'rrbackup versions'",
  });
});
