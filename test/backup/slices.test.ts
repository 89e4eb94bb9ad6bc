// Directories that are compared in pieces, and what may happen to them between two pieces.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { comparePaths } from '../../lib/bytes/path.js';
import { Comparison, type CompareOptions } from '../../lib/backup/compare.js';
import { type Findings, type Place, rootPlace } from '../../lib/backup/findings.js';
import { Skipped } from '../../lib/backup/skipped.js';
import { FileStatus } from '../../lib/posix/status.js';
import { isRoot, scratchDirectory } from '../trees.js';
import { optionsFor, remember } from './findings.js';

interface Told {
  /** 'added d/a', 'removed d/b', 'unchanged c', …, in the order in which they count. */
  readonly told: string[];
  /** The most that one piece led to. */
  readonly most: number;
}

/** `before` is called with each place that is looked at next. */
function piecewise(
  options: CompareOptions,
  enough: number,
  before: (place: Place) => void = () => undefined,
): Told {
  const comparison = new Comparison(options);
  const told: string[] = [];
  let most = 0;
  let seen: (string | Place)[] = [];
  const tell = (text: string): void => void seen.push(text);
  const findings: Findings = {
    added: ({ path }) => tell(`added ${path.toString()}`),
    changed: ({ path }) => tell(`changed ${path.toString()}`),
    metadata: ({ path }) => tell(`metadata ${path.toString()}`),
    removed: (path) => tell(`removed ${path.toString()}`),
    unchanged: (previous) => tell(`unchanged ${previous.entry().name.toString()}`),
    kept: (previous) => tell(`kept ${previous.entry().name.toString()}`),
    unreadable: (path) => tell(`unreadable ${path.toString()}`),
    below: (place) => seen.push(place),
    stillThere: () => undefined,
    isEnough: () => seen.length >= enough,
  };
  const ahead: (string | Place)[] = [rootPlace];
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    if (typeof next === 'string') {
      told.push(next);
      continue;
    }
    before(next);
    seen = [];
    comparison.compare(next, findings);
    most = Math.max(most, seen.length);
    ahead.push(...seen.reverse());
  }
  return { told, most };
}

const isRestOf =
  (name: string) =>
  ({ path, rest }: Place): boolean =>
    rest !== undefined && Buffer.from(path).toString() === name;

function tree(t: { teardown(end: () => void): void }, names: readonly string[]): string {
  const root = scratchDirectory(t as never);
  for (const name of names) {
    fs.mkdirSync(path.join(root, path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(root, name), name);
  }
  return root;
}

const letters = [...'abcefgh'];
const inD = letters.map((letter) => `d/${letter}`);

t.test('however small the pieces: the same, and no piece is large', (t) => {
  const many = Array.from({ length: 60 }, (_, index) => String(index).padStart(3, '0'));
  const root = tree(t, [
    ...many.flatMap((name) => [`all/${name}`, `half/${name}`, `tail/${name}`, `dirs/${name}/file`]),
    'tail/zzz',
    'file/a',
  ]);
  const catalog = remember(root);
  const at = (...names: string[]) => path.join(root, ...names);
  fs.rmSync(at('all'), { recursive: true });
  fs.rmSync(at('dirs'), { recursive: true });
  for (const name of many) {
    fs.rmSync(at('tail', name));
    if (name < '050') fs.rmSync(at('half', name));
  }
  for (const name of many) fs.writeFileSync(at('half', `${name}-new`), '');
  fs.rmSync(at('file'), { recursive: true });
  fs.writeFileSync(at('file'), '');
  const options = optionsFor(root, { catalog, previous: 1 });
  const whole = piecewise(options, Infinity).told;
  t.ok(whole.includes('removed dirs/059/file') && whole.includes('removed file/a'));
  let isAlone = true;
  const checkMemory = ({ path, rest }: Place): void => {
    // A message to another thread takes along all of the memory that a view is of.
    for (const bytes of [path, rest?.names, rest?.after])
      isAlone &&= bytes === undefined || bytes.buffer.byteLength <= bytes.length;
  };
  for (const enough of [1, 2, 7, 100]) {
    const { told, most } = piecewise(options, enough, checkMemory);
    t.strictSame(told, whole, `pieces of ${enough}`);
    // The last entry may be a row and two places, and the rest is eight places.
    t.ok(most <= enough + 2 + 8, `${most} at once for pieces of ${enough}`);
  }
  t.ok(isAlone, 'no place holds more memory than its bytes');
  t.end();
});

t.test('a directory vanishes, or something else stands in its place, between two pieces', (t) => {
  for (const becomes of ['nothing', 'file', 'directory', 'symlink', 'symlink to itself'] as const) {
    const root = tree(t, [...inD, 'z']);
    const catalog = remember(root);
    fs.writeFileSync(path.join(root, 'd', 'bb'), '');
    let isDone = false;
    const { told } = piecewise(optionsFor(root, { catalog, previous: 1 }), 3, (place) => {
      if (isDone || !isRestOf('d')(place)) return;
      isDone = true;
      const d = path.join(root, 'd');
      // Not removed: what is made next would get its inode number.
      if (becomes === 'nothing') fs.rmSync(d, { recursive: true });
      else fs.renameSync(d, becomes === 'symlink to itself' ? path.join(root, 'y') : `${root}-away`);
      if (becomes === 'file') fs.writeFileSync(d, '');
      if (becomes === 'directory') fs.cpSync(path.join(root, 'z'), path.join(d, 'h'), { recursive: true });
      if (becomes === 'symlink') fs.symlinkSync('.', d);
      if (becomes === 'symlink to itself') fs.symlinkSync('y', d);
    });
    t.teardown(() => fs.rmSync(`${root}-away`, { recursive: true, force: true }));
    t.ok(isDone);
    const rows = told.filter((text) => /^(added|removed|changed|metadata)/.test(text));
    const paths = rows.map((text) => Buffer.from(text.slice(text.indexOf(' ') + 1)));
    t.ok(
      paths.every((at, index) => index === 0 || comparePaths(paths[index - 1]!, at) < 0),
      `in order: ${String(rows)}`,
    );
    for (const letter of letters) {
      const ways = [`unchanged ${letter}`, `kept ${letter}`, `removed d/${letter}`];
      t.equal(told.filter((text) => ways.includes(text)).length, 1, `${letter} is told of once`);
    }
    t.ok(told.includes('unchanged z'));
    t.ok(told.includes(becomes === 'nothing' ? 'removed d/h' : 'kept h'), becomes);
    t.equal(told.includes('unreadable d'), becomes !== 'nothing', becomes);
    t.notOk(told.some((text) => /^(added|changed).* d\/(h|x)/.test(text)));
  }
  t.end();
});

t.test('a directory becomes unreadable between two pieces', { skip: !isRoot }, (t) => {
  const root = tree(t, [...inD, 'z']);
  fs.chmodSync(root, 0o755);
  const catalog = remember(root);
  let isDone = false;
  let told: string[];
  process.seteuid?.(65_534);
  try {
    ({ told } = piecewise(optionsFor(root, { catalog, previous: 1 }), 3, (place) => {
      if (isDone || !isRestOf('d')(place)) return;
      isDone = true;
      process.seteuid?.(0);
      fs.chmodSync(path.join(root, 'd'), 0);
      process.seteuid?.(65_534);
    }));
  } finally {
    process.seteuid?.(0);
  }
  t.ok(isDone && told.includes('unreadable d'));
  for (const letter of letters) {
    const times = told.filter((text) => text === `unchanged ${letter}` || text === `kept ${letter}`);
    t.equal(times.length, 1, `${letter} is told of once`);
  }
  t.notOk(told.some((text) => text.startsWith('removed')));
  t.end();
});

t.test('a mount point whose file system has gone before its turn came', (t) => {
  const root = tree(t, ['disk/a']);
  const { deviceHigh, deviceLow } = deviceOf(root);
  const findings = new Proxy({} as Findings, { get: () => () => undefined });
  const top = { kind: 'scan', directory: undefined, isTop: true } as const;
  const look = (name: string, above: { deviceHigh: number; deviceLow: number }) => (): void =>
    new Comparison(optionsFor(root)).compare({ ...top, path: Buffer.from(name), above }, findings);
  const wentAway = { code: 'backup.source_went_away' };
  t.throws(look('disk', { deviceHigh, deviceLow }), wentAway, 'it stands on the file system above');
  t.throws(look('nowhere', { deviceHigh, deviceLow: deviceLow + 1 }), wentAway, 'it was taken away');
  t.doesNotThrow(look('disk', { deviceHigh, deviceLow: deviceLow + 1 }), 'it is what it was');
  t.end();
});

function deviceOf(directory: string): FileStatus {
  const status = new FileStatus();
  status.setStats(fs.lstatSync(directory, { bigint: true }));
  return status;
}

t.test('several places of ours with one inode number, as roots of file systems have', (t) => {
  const roots = ['/proc', '/sys', '/dev', '/dev/shm', '/run', '/'].filter((name) => fs.existsSync(name));
  const skipped = new Skipped(roots.map((name) => Buffer.from(name)));
  for (const name of roots) t.ok(skipped.hasPlace(deviceOf(name)), name);
  t.notOk(skipped.hasPlace(deviceOf(scratchDirectory(t))));
  t.end();
});
