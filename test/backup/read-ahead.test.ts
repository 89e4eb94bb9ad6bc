// What the kernel is told to fetch ahead: nothing while reading waits for nobody; files only, the next ones, once each.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { ReadAhead } from '../../lib/backup/read-ahead.js';
import { holdRoot, OpenDirectory, type ReadBuffer } from '../../lib/posix/directory.js';
import { makeNode } from '../../lib/posix/nodes.js';
import type { FileStatus } from '../../lib/posix/status.js';
import type { NameList } from '../../lib/posix/name-list.js';
import { scratchDirectory } from '../trees.js';

/** A directory that tells what is opened in it. */
class Watched extends OpenDirectory {
  readonly opened: string[] = [];

  override open(names: NameList, index: number): number {
    this.opened.push(names.name(index).toString());
    return super.open(names, index);
  }

  take(): string[] {
    return this.opened.splice(0);
  }
}

function watched(t: Test, root: string): { directory: Watched; names: NameList } {
  const directory = new Watched(holdRoot(Buffer.from(root)).root);
  t.teardown(() => directory.close());
  return { directory, names: directory.names() };
}

const name = (index: number): string => String(index).padStart(4, '0');

function withFiles(t: Test, count: number): string {
  const root = scratchDirectory(t);
  for (let index = 0; index < count; index++) fs.writeFileSync(path.join(root, name(index)), 'x');
  return root;
}

t.test('nothing as long as nobody waits', (t) => {
  const { directory, names } = watched(t, withFiles(t, 50));
  const window = { waits: 0 } as ReadBuffer;
  const ahead = new ReadAhead(window);
  for (let index = 0; index < names.count; index++) ahead.reading(directory, names, index);
  t.strictSame(directory.take(), []);
  t.end();
});

t.test('after a wait the next files, farther ahead the more are read in a row, each once', (t) => {
  const { directory, names } = watched(t, withFiles(t, 600));
  const window = { waits: 0 } as ReadBuffer;
  const ahead = new ReadAhead(window);
  ahead.reading(directory, names, 0);
  window.waits++;
  ahead.reading(directory, names, 1);
  const first = directory.take();
  t.strictSame(
    first,
    first.map((_, index) => name(index + 2)),
  );
  ahead.reading(directory, names, 2);
  const second = directory.take();
  t.ok(first.length > 0 && second.length > 0);
  let seen = 2 + first.length + second.length;
  t.strictSame(second.at(-1), name(seen - 1));
  for (let index = 3; index < names.count; index++) {
    ahead.reading(directory, names, index);
    for (const opened of directory.take()) t.equal(opened, name(seen++));
    t.ok(seen - index < 50, 'never far ahead');
    if (seen - index === 1) break;
  }
  t.ok(seen > 200 && seen < 400, 'and no more once none has waited for long');
  t.end();
});

t.test('a file between many that are not read costs little', (t) => {
  const { directory, names } = watched(t, withFiles(t, 500));
  const window = { waits: 0 } as ReadBuffer;
  const ahead = new ReadAhead(window);
  for (let index = 100; index < names.count; index += 100) {
    window.waits++;
    ahead.reading(directory, names, index);
    t.ok(directory.take().length <= 4);
  }
  t.end();
});

t.test('nothing but files that hold something is opened', (t) => {
  const root = scratchDirectory(t);
  execFileSync('mkfifo', [path.join(root, 'a fifo')]);
  fs.mkdirSync(path.join(root, 'b directory'));
  fs.writeFileSync(path.join(root, 'c empty'), '');
  fs.symlinkSync('e file', path.join(root, 'd link'));
  fs.writeFileSync(path.join(root, 'e file'), 'x');
  fs.writeFileSync(path.join(root, 'f gone'), 'x');
  const { directory, names } = watched(t, root);
  fs.rmSync(path.join(root, 'f gone'));
  const window = { waits: 0 } as ReadBuffer;
  const ahead = new ReadAhead(window);
  window.waits++;
  for (let index = 0; index < names.count; index++) ahead.reading(directory, names, index);
  t.strictSame(directory.take(), ['e file']);
  t.end();
});

t.test('what has become of a file since its status was taken holds nothing up', (t) => {
  const root = withFiles(t, 5);
  const { directory, names } = watched(t, root);
  const { look } = directory;
  const become = [
    (at: string) => makeNode(Buffer.from(at), 'fifo'),
    (at: string) => fs.symlinkSync('/dev/zero', at),
    (at: string) => fs.mkdirSync(at),
  ];
  t.intercept(directory, 'look', {
    value: (list: NameList, index: number, status: FileStatus): boolean => {
      const isThere = look.call(directory, list, index, status);
      fs.rmSync(path.join(root, name(index)), { recursive: true });
      become[index % 3]!(path.join(root, name(index)));
      return isThere;
    },
  });
  const window = { waits: 0 } as ReadBuffer;
  const ahead = new ReadAhead(window);
  window.waits++;
  ahead.reading(directory, names, 0);
  ahead.reading(directory, names, 1);
  t.ok(directory.take().length >= 3);
  t.end();
});

t.test('a file that cannot be looked at is not its matter', (t) => {
  const { names } = watched(t, withFiles(t, 5));
  const directory = {
    look: (): boolean => {
      throw new Error('permission denied');
    },
  } as unknown as OpenDirectory;
  const window = { waits: 0 } as ReadBuffer;
  const ahead = new ReadAhead(window);
  window.waits++;
  t.doesNotThrow(() => ahead.reading(directory, names, 0));
  t.end();
});
