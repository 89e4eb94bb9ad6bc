// Whatever names a tree holds, no control byte of theirs reaches a terminal.
import t from 'tap';
import fc from 'fast-check';
import { PassThrough } from 'node:stream';
import { formatEntry, formatMode } from '../../../commands/presentation/entry.js';
import { bytesToJson, toJson } from '../../../commands/presentation/json.js';
import { ProgressLine } from '../../../commands/presentation/progress.js';
import { Report } from '../../../commands/presentation/report.js';
import { formatTable } from '../../../commands/presentation/table.js';
import { RrbackupError } from '../../../lib/errors/index.js';
import type { Entry } from '../../../lib/manifest/types.js';
import { written } from '../written.js';
import { runs } from '../../runs.js';

const entry: Entry = {
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 1000,
  mtime_ns: 0n,
  ctime_ns: 0n,
  inode: 1n,
  device: 1n,
  links: 1,
  size_bytes: 5,
  rdevMajor: 0,
  rdevMinor: 0,
  target: Buffer.alloc(0),
  xattrs: [],
  content: [],
};
const names = { userNames: new Map([[0, 'root']]), groupNames: new Map([[1000, 'ev\x1bil']]) };
const control = /[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
);

function reportOn(options: { json?: boolean; quiet?: boolean; debug?: boolean } = {}) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const report = new Report({
    stdout,
    stderr,
    json: false,
    quiet: false,
    verbose: false,
    debug: false,
    ...options,
  });
  return { report, out: () => written(stdout), said: () => written(stderr) };
}

t.test('listings', async (t) => {
  t.match(
    formatEntry(Buffer.from('a'), entry, names),
    /^-rw-r--r-- root {5}ev\\x1bil +5 19(70|69)-\S+ \S+ a$/,
  );
  const link: Entry = { ...entry, type: 'symlink', mode: 0o777, target: Buffer.from('to\x1b') };
  t.match(formatEntry(Buffer.from('l'), link, names), /^lrwxrwxrwx .* l -> to\\x1b$/);
  const device: Entry = { ...entry, type: 'block-device', rdevMajor: 8, rdevMinor: 1 };
  t.match(formatEntry(Buffer.from('d'), device, names), / 8, 1 /);
  fc.assert(
    fc.property(
      anyBytes,
      anyBytes,
      (name, target) => !control.test(formatEntry(name, { ...link, target }, names)),
    ),
    runs(100),
  );
});

t.test('mode letters', async (t) => {
  const letters = (mode: number, type: Entry['type'] = 'file'): string =>
    formatMode({ ...entry, mode, type });
  t.equal(letters(0o7777), '-rwsrwsrwt');
  t.equal(letters(0o7666), '-rwSrwSrwT');
  t.equal(letters(0o750, 'directory'), 'drwxr-x---');
  t.equal(letters(0, 'fifo'), 'p---------');
});

t.test('JSON keeps every name and carries no control character', async () => {
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      const line = toJson(bytesToJson('path', bytes));
      const parsed = JSON.parse(line) as { path: string; path_base64?: string };
      const back =
        parsed.path_base64 === undefined
          ? Buffer.from(parsed.path)
          : Buffer.from(parsed.path_base64, 'base64');
      return !control.test(line) && back.equals(bytes);
    }),
    runs(1000),
  );
});

t.test('with --json stdout has JSON and nothing else', async (t) => {
  const { report, out, said } = reportOn({ json: true });
  await report.line('for people');
  await report.summary('for people');
  await report.json({ size: 5n });
  report.note('on the way');
  await report.flush();
  t.equal(out(), '{"size":"5"}\n');
  t.equal(said(), 'rrbackup: on the way\n');
  const status = report.error(new RrbackupError({ code: 'a.b', kind: 'busy', message: 'm', guidance: 'g' }));
  t.equal(status, 11);
  t.strictSame(JSON.parse(said()), {
    error: { code: 'a.b', kind: 'busy', message: 'm', guidance: 'g', exit_status: 11 },
  });
});

t.test('what is said is harmless, and -q leaves warnings', async (t) => {
  const { report, out, said } = reportOn({ quiet: true });
  await report.summary('done');
  await report.line('listed \x1b[31m');
  report.note('on the way');
  report.warn('broken \x9b name');
  await report.flush();
  t.equal(out(), 'listed \\x1b[31m\n');
  t.equal(said(), 'rrbackup: warning: broken \\xc2\\x9b name\n');
});

t.test('an error: a sentence, what to do, and a stack only with --debug', async (t) => {
  const plain = reportOn();
  const error = new RrbackupError({
    code: 'x',
    kind: 'tampered',
    message: 'it is wrong',
    guidance: 'do this',
    cause: new Error('deep'),
  });
  t.equal(plain.report.error(error), 17);
  t.equal(plain.said(), 'rrbackup: it is wrong\n  hint: do this\n');
  t.equal(plain.report.error(new TypeError('oops')), 1);
  t.match(plain.said(), 'rrbackup: oops\n  hint: run it again with --debug');
  const debug = reportOn({ debug: true });
  debug.report.error(error);
  t.match(debug.said(), /do this\nRrbackupError: it is wrong\n.*\ncaused by: Error: deep/s);
});

t.test('tables', async (t) => {
  const columns = [{ title: 'N', align: 'right' as const }, { title: 'WORD' }, { title: 'NAME' }];
  t.strictSame(
    formatTable(columns, [
      ['1', 'wörter', 'x'],
      ['100', '', 'longer'],
    ]),
    ['  N  WORD    NAME', '  1  wörter  x', '100          longer'],
  );
  t.strictSame(formatTable(columns, []), ['N  WORD  NAME']);
});

t.test('progress: one line, as wide as the terminal, ten times a second', async (t) => {
  const lines: string[] = [];
  let now_ms = 0;
  const clock = { now_ns: () => 0n, monotonic_ms: () => now_ms };
  const line = new ProgressLine({ columns: 60, write: (text) => lines.push(text) }, clock);
  const shown = (): string => lines.splice(0).join('').split('\r\x1b[K').at(-1) ?? '';
  line.update({ phase: 'read', files_done: 10, files_total: 2000, bytes_done: 0, bytes_total: 4096 });
  t.equal(shown(), 'backing up  10 of 2,000 files  0 B of 4.0 KiB');
  line.update({ phase: 'read', files_done: 11, bytes_done: 1 });
  t.equal(shown(), '', 'too soon');
  now_ms = 1000;
  line.update({
    phase: 'read',
    files_done: 1000,
    files_total: 2000,
    bytes_done: 1024,
    bytes_total: 4096,
    current: 'x'.repeat(99),
  });
  const text = shown();
  t.equal(text, 'backing up  1,000 of 2,000 files  1.0 KiB of 4.0 KiB  1.0 KiB/s  3.0 s left'.slice(0, 59));
  now_ms = 2000;
  line.update({ phase: 'read', files_done: 1, bytes_done: 2048, bytes_total: 4096 });
  t.equal(shown(), 'backing up  1 file  2.0 KiB of 4.0 KiB  1.0 KiB/s  2.0 s left'.slice(0, 59));
  now_ms = 3000;
  line.update({ phase: 'connect', files_done: 0, bytes_done: 0, current: `a/${'b'.repeat(80)}/end` });
  t.match(shown(), /^connecting {2}…b+\/end$/);
  line.clear();
  t.equal(lines.join(''), '\r\x1b[K');
});
