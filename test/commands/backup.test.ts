// What a backup tells people of files that it could not store as they were: a line each, a count, the exit status.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { OpenDirectory, ReadBuffer } from '../../lib/posix/directory.js';
import type { NameList } from '../../lib/posix/name-list.js';
import { makeNode } from '../../lib/posix/nodes.js';
import { runBackupsHere } from '../simulation/threads-here.js';
import { commandsIn, type Ran } from './here.js';

runBackupsHere();

interface Told {
  readonly sources: readonly Record<string, unknown>[];
}

function machine(t: Test): { at(name: string): string; run(...argv: string[]): Promise<Ran> } {
  const cwd = t.testdir({
    source: { quiet: 'quiet' },
    home: {},
    'configuration.ini':
      '[main]\nbase_path: source\nhost: here\nencryption: none\n[directory]\npath: repository\n',
  });
  return { at: (name) => path.join(cwd, 'source', name), run: commandsIn(cwd) };
}

/** Whenever an open file is read, `change` happens first. */
function whileReading(t: Test, change: (fd: number) => void): void {
  const { read } = ReadBuffer.prototype;
  t.intercept(ReadBuffer.prototype, 'read', {
    value: function (this: ReadBuffer, ...given: Parameters<typeof read>): number {
      change(given[0]);
      return read.apply(this, given);
    },
  });
}

void t.test('a file that changes while it is read', async (t) => {
  const { at, run } = machine(t);
  const name = 'lo\u001b[2Jg\n';
  fs.writeFileSync(at(name), 'begun');
  whileReading(t, () => fs.appendFileSync(at(name), 'more'));
  const shown = 'lo\\x1b[2Jg\\x0a';
  const first = await run('backup');
  t.equal(first.status, 3);
  t.match(first.out, /1 file CHANGED WHILE BEING READ\n$/);
  t.equal(
    first.said
      .split('\n')
      .filter((line) => line.startsWith('rrbackup: warning'))
      .join(),
    `rrbackup: warning: ${shown} of source changed while it was read: what is stored may mix two states of it`,
  );
  const quiet = await run('backup', '-q');
  t.match(quiet, { status: 3, out: '' });
  t.match(quiet.said, /^rrbackup: warning: lo.* changed while it was read/);
  const json = await run('backup', '--json');
  t.equal(json.status, 3);
  const [told] = (JSON.parse(json.out) as Told).sources;
  t.match(told, { unstable: [{ path: name }], unstable_count: 1, unreadable_count: 0 });
});

void t.test('more of them than anybody reads the names of', async (t) => {
  const { at, run } = machine(t);
  const names = Array.from({ length: 1003 }, (_, index) => String(index));
  for (const name of names) fs.writeFileSync(at(name), name);
  let turn = 0;
  whileReading(t, (fd) => fs.futimesSync(fd, ++turn, turn));
  const { status, out, said } = await run('backup');
  t.equal(status, 3);
  t.match(out, /1,004 files CHANGED WHILE BEING READ/);
  const lines = said.split('\n').filter((line) => line.includes('while'));
  t.equal(lines.length, 1001);
  t.equal(lines.at(-1), 'rrbackup: warning: 4 more files of source changed while they were read');
});

void t.test(
  'what is unreadable and what changed are told apart, a trial run counts as the run',
  async (t) => {
    const { at, run } = machine(t);
    fs.writeFileSync(at('busy'), 'begun');
    fs.writeFileSync(at('gone'), 'it becomes a fifo');
    const before = await run('backup', '--dry-run');
    t.match(before, { status: 0, said: /^((?!while).)*$/s });
    whileReading(t, () => fs.appendFileSync(at('busy'), 'more'));
    const { open } = OpenDirectory.prototype;
    t.intercept(OpenDirectory.prototype, 'open', {
      value: function (this: OpenDirectory, names: NameList, index: number): number {
        if (names.name(index).toString() === 'gone') {
          fs.rmSync(at('gone'));
          makeNode(Buffer.from(at('gone')), 'fifo');
        }
        return open.call(this, names, index);
      },
    });
    const { status, out, said } = await run('backup');
    t.equal(status, 3);
    t.match(out, /; 1 entry COULD NOT BE READ; 1 file CHANGED WHILE BEING READ\n$/);
    t.match(said, /cannot read gone of source: it was replaced by something else while the backup ran\n/);
  },
);
