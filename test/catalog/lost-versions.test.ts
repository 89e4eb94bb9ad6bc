// Which names of versions may mean one that cannot be read.

import t from 'tap';
import { lostVersions, newestLost, refuseLost, type Readable } from '../../lib/catalog/lost-versions.js';
import type { StreamInfo, VersionInfo } from '../../lib/catalog/types.js';
import { resolveVersion } from '../../lib/catalog/version-argument.js';

const times = ['', '18T03', '19T03', '20T03', '20T15', '21T03', '22T03', '23T03'];

/** Of versions that began at `times`, those that can be read; `endsInGap`: there are others behind the last one. */
function readable(sequences: readonly number[], endsInGap: boolean): Readable {
  const head = sequences.at(-1)!;
  const versions = sequences.map((sequence) => {
    const started_ns = BigInt(Date.parse(`2026-11-${times[sequence]!}:00:00Z`)) * 1_000_000n;
    return { hash: '', header: { sequence, started_ns } } as unknown as VersionInfo;
  });
  return { stream: { source: 'docs', head, endsInGap } as unknown as StreamInfo, versions };
}

/** What a text means: a version's number, 'lost', or 'none'. */
function meaning(text: string, of: Readable): number | 'lost' | 'none' {
  let chosen: VersionInfo | undefined;
  try {
    chosen = resolveVersion(text, of.versions).version;
  } catch {
    // Nothing that can be read has this name.
  }
  try {
    refuseLost(text, chosen, of);
    return chosen?.header.sequence ?? 'none';
  } catch (error) {
    t.match(error, { code: 'version.lost', kind: 'damaged' });
    return 'lost';
  }
}

void t.test('the newest versions cannot be read', async (t) => {
  const of = readable([1, 2, 3], true);
  t.strictSame(lostVersions(of), [{ from: 4, to: Infinity }]);
  for (const [text, expected] of [
    ['latest', 'lost'],
    ['latest~1', 'lost'],
    ['latest~9', 'lost'],
    ['1', 1],
    ['3', 3],
    ['4', 'lost'],
    ['400', 'lost'],
    ['2026-11-19', 2],
    ['2026-11-18T03', 1],
    ['2026-11-20', 'lost'],
    ['2026-11', 'lost'],
    ['2026-11-20T03', 'lost'],
    ['2026-11-20T03-00-00Z', 3],
    ['2026-11-20 03:00:00Z', 3],
    ['2026-12', 'lost'],
  ] as const)
    t.equal(meaning(text, of), expected, text);
});

void t.test('versions in the middle cannot be read', async (t) => {
  const of = readable([1, 2, 5, 6], false);
  t.strictSame(lostVersions(of), [{ from: 3, to: 4 }]);
  for (const [text, expected] of [
    ['latest', 6],
    ['latest~1', 5],
    ['latest~2', 'lost'],
    ['latest~3', 'lost'],
    ['3', 'lost'],
    ['7', 'none'],
    ['2026-11-18', 1],
    // Versions 3 and 4 may be of that day, too.
    ['2026-11-19', 'lost'],
    ['2026-11-20', 'lost'],
    ['2026-11-21', 5],
    ['2026-11', 6],
  ] as const)
    t.equal(meaning(text, of), expected, text);
});

void t.test('the first versions cannot be read', async (t) => {
  const of = readable([3, 4], false);
  t.strictSame(lostVersions(of), [{ from: 1, to: 2 }]);
  t.strictSame(
    ['latest', 'latest~1', 'latest~2', '1', '3', '2026-11-20', '2026-11-18'].map((text) => meaning(text, of)),
    [4, 3, 'lost', 'lost', 3, 4, 'lost'],
  );
});

void t.test('nothing is lost', async (t) => {
  const of = readable([1, 2, 3], false);
  t.strictSame(lostVersions(of), []);
  t.strictSame(
    ['latest', 'latest~2', 'latest~3', '4', '2026-11-20', '2026-12', 'newest'].map((text) =>
      meaning(text, of),
    ),
    [3, 1, 'none', 'none', 3, 'none', 'none'],
  );
});

void t.test('the message says which can be read', async (t) => {
  t.throws(() => refuseLost('latest', undefined, readable([1, 2, 5], true)), {
    message:
      "versions 3-4 and the versions after 5 of docs cannot be read, and 'latest' may mean one of them",
    guidance: /^versions 1-2, 5 can be read: choose one by its number;/,
  });
  t.throws(() => refuseLost('4', undefined, readable([1, 2, 5], false)), {
    message: 'versions 3-4 of docs cannot be read',
  });
  t.match(newestLost(readable([1], true)), {
    code: 'version.lost',
    exitStatus: 13,
    message: 'the newest versions of docs, those after 1, cannot be read',
    guidance: /^version 1 can be read/,
  });
});
