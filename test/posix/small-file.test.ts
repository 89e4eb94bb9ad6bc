// Files of which nobody knows what they are: read, waited for or refused, never for ever and never without a bound.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { makeNode } from '../../lib/posix/nodes.js';
import { reasonOf } from '../../lib/posix/reason.js';
import { readFoundFile, readNamedFile, readOwnFile, readRegularFile } from '../../lib/posix/small-file.js';
import { scratchDirectory } from '../trees.js';

const options = { most_bytes: 10_000 };

function world(test: Parameters<typeof scratchDirectory>[0]): (name: string) => string {
  const directory = scratchDirectory(test);
  const at = (name: string): string => path.join(directory, name);
  makeNode(Buffer.from(at('fifo')), 'fifo');
  fs.writeFileSync(at('file'), 'text\nmore');
  fs.symlinkSync('file', at('link'));
  fs.writeFileSync(at('large'), Buffer.alloc(10_001, 'x'));
  return at;
}

const why = async (work: () => unknown): Promise<string> => {
  try {
    await work();
  } catch (error) {
    return reasonOf(error);
  }
  return 'no error';
};

/** A program that has the fifo open for writing, and says `text` there. */
async function writer(test: { teardown(end: () => unknown): unknown }, fifo: string, text: string) {
  const child = spawn('sh', ['-c', 'exec 3>"$0"; printf "$1" >&3; echo open; read end', fifo, text], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  test.teardown(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  return {
    /** The reader has come. */
    opened: once(child.stdout, 'data'),
    end: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

void t.test('a file that was named: files, links and what comes through a pipe', async (t) => {
  const at = world(t);
  for (const name of ['file', 'link'])
    t.equal(String((await readNamedFile(at(name), options)).bytes), 'text\nmore');
  t.equal((await readNamedFile('/proc/self/status', options)).bytes.subarray(0, 5).toString(), 'Name:');
  const reading = readNamedFile(at('fifo'), options);
  const { opened, end } = await writer(t, at('fifo'), 'through the pipe');
  await opened;
  await end();
  t.equal(String((await reading).bytes), 'through the pipe');
});

void t.test('a first line is enough, whoever holds the pipe', async (t) => {
  const at = world(t);
  const reading = readNamedFile(at('fifo'), { ...options, firstLine: true });
  await writer(t, at('fifo'), 'first\n');
  t.equal(String((await reading).bytes), 'first\n');
  fs.appendFileSync(at('large'), 'x\n');
  t.equal(
    await why(() => readNamedFile(at('large'), { ...options, firstLine: true })),
    'it is larger than 9.765625 KiB',
  );
});

void t.test('a signal ends the wait for a pipe, with and without a writer', async (t) => {
  const at = world(t);
  const first = new AbortController();
  const alone = readNamedFile(at('fifo'), { ...options, signal: first.signal });
  first.abort();
  await t.rejects(alone, { code: 'interrupted' });
  await t.rejects(readNamedFile(at('fifo'), { ...options, signal: first.signal }), { code: 'interrupted' });
  const second = new AbortController();
  const reading = readNamedFile(at('fifo'), { ...options, signal: second.signal });
  const { opened } = await writer(t, at('fifo'), 'not all');
  await opened;
  second.abort();
  await t.rejects(reading, { code: 'interrupted' });
});

void t.test('what is too large, endless or no file is refused', async (t) => {
  const at = world(t);
  const most_bytes = 10 * 1024;
  fs.writeFileSync(at('fits'), Buffer.alloc(most_bytes));
  t.equal((await readNamedFile(at('fits'), { most_bytes })).bytes.length, most_bytes);
  fs.appendFileSync(at('fits'), 'x');
  t.equal(await why(() => readNamedFile(at('fits'), { most_bytes })), 'it is larger than 10 KiB');
  const reading = readNamedFile(at('fifo'), { most_bytes });
  const refused = t.rejects(reading, { message: 'it is larger than 10 KiB' });
  await writer(t, at('fifo'), '%20000s');
  await refused;
  t.equal(await why(() => readNamedFile('/dev/zero', options)), 'it is neither a file nor a pipe');
  t.equal(await why(() => readNamedFile(at('.'), options)), 'it is a directory');
  t.equal(await why(() => readNamedFile(at('none'), options)), 'no such file or directory');
  for (const name of [at('fifo'), '/dev/zero', at('.')])
    t.equal(await why(() => readRegularFile(name, options)), 'it is not a regular file', name);
  t.equal(readRegularFile(at('link'), options), 'text\nmore');
  t.equal(await why(() => readRegularFile(at('large'), options)), 'it is larger than 9.765625 KiB');
});

void t.test('a file that was found or is our own is a regular one, and no link', async (t) => {
  const at = world(t);
  const find = (name: string) => readFoundFile(at('.'), name, options);
  const found = find('file')!;
  t.equal(String(found.bytes), 'text\nmore');
  t.equal(found.directory.ino, fs.statSync(at('.')).ino);
  t.equal(find('none'), undefined);
  t.equal(readFoundFile(at('file'), 'none', options), undefined);
  t.equal(readOwnFile(at('file')), 'text\nmore');
  t.equal(readOwnFile(at('none')), undefined);
  for (const [name, reason] of [
    ['fifo', 'it is not a regular file'],
    ['link', 'it is a symbolic link'],
  ] as const) {
    t.equal(await why(() => find(name)), reason);
    t.equal(await why(() => readOwnFile(at(name))), reason);
  }
});
