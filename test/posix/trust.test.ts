// Who else can change a path, of everything that can stand on the way there.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { distrust, distrustedOnWay, makeTrustedDirectories } from '../../lib/posix/trust.js';
import { isRoot, scratchDirectory } from '../trees.js';

const other = 4242;
const skip = !isRoot && 'needs root';

function world(test: Parameters<typeof scratchDirectory>[0]): (...names: string[]) => string {
  const directory = scratchDirectory(test);
  const at = (...names: string[]): string => path.join(directory, ...names);
  fs.mkdirSync(at('above/here'), { recursive: true, mode: 0o755 });
  fs.writeFileSync(at('above/here/file'), '', { mode: 0o600 });
  return at;
}

void t.test('what only this user can write to is trusted, and what is not there', (t) => {
  const at = world(t);
  for (const name of [
    'above',
    'above/here',
    'above/here/file',
    'above/none',
    'above/here/file/none',
    'none/none',
  ])
    t.equal(distrustedOnWay(at(name)), undefined, name);
  t.end();
});

void t.test('others may write: to the last one nobody, above it only in sticky directories', (t) => {
  const at = world(t);
  const why = (mode: number, name: string): unknown => {
    fs.chmodSync(at(name), mode);
    const found = distrustedOnWay(at('above/here'));
    fs.chmodSync(at(name), 0o755);
    return found;
  };
  for (const mode of [0o775, 0o757, 0o777, 0o1777, 0o770])
    t.strictSame(why(mode, 'above/here'), { path: at('above/here'), why: 'writable' }, mode.toString(8));
  for (const mode of [0o757, 0o777])
    t.strictSame(why(mode, 'above'), { path: at('above'), why: 'writable' }, mode.toString(8));
  for (const mode of [0o775, 0o1777]) t.equal(why(mode, 'above'), undefined, mode.toString(8));
  t.equal(distrust({ uid: process.geteuid!(), mode: 0o100620 }), 'writable');
  t.end();
});

void t.test('another user anywhere on the way, links too', { skip }, (t) => {
  const at = world(t);
  for (const name of ['above', 'above/here', 'above/here/file']) {
    fs.chownSync(at(name), other, other);
    t.strictSame(distrustedOnWay(at('above/here/file')), { path: at(name), why: 'foreign' });
    fs.chownSync(at(name), 0, 0);
  }
  for (const [link, to] of [
    ['absolute', at('above')],
    ['relative', '../above/../above'],
  ] as const) {
    fs.mkdirSync(at(link));
    fs.symlinkSync(to, at(link, 'link'));
    const through = at(link, 'link/here/file');
    t.equal(distrustedOnWay(through), undefined, 'a link of our own');
    fs.chownSync(at('above/here'), other, other);
    t.strictSame(distrustedOnWay(through), { path: at('above/here'), why: 'foreign' }, 'where it leads');
    fs.chownSync(at('above/here'), 0, 0);
    fs.lchownSync(at(link, 'link'), other, other);
    t.strictSame(distrustedOnWay(through), { path: at(link, 'link'), why: 'foreign' });
  }
  fs.symlinkSync('loop', at('loop'));
  t.equal(distrustedOnWay(at('loop/file')), undefined, 'nobody gets there');
  t.end();
});

void t.test('directories are made below trusted ones only', { skip }, (t) => {
  const at = world(t);
  t.equal(makeTrustedDirectories(at('above/a/b')), undefined);
  t.equal(fs.statSync(at('above/a/b')).mode & 0o777, 0o700);
  fs.chownSync(at('above/here'), other, other);
  t.match(makeTrustedDirectories(at('above/here/a')), { path: at('above/here') });
  t.notOk(fs.existsSync(at('above/here/a')));
  t.end();
});
