// Files that grow, shrink, vanish and are replaced by things of other kinds while a backup reads them: each comes back
// as it was at some moment, or is named.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import t from 'tap';
import { newHome, outcome } from '../e2e/cli.js';
import { runs } from '../runs.js';

const files = 24;

/** Every file is of one byte at all times, a write is one call: whoever finds two bytes has read while it was written. */
const writer = `
  const fs = require('node:fs');
  const [directory] = process.argv.slice(1);
  const whole = (byte) => Buffer.alloc(300_000, byte);
  let turn = 0;
  const acts = [
    (file, byte) => { const fd = fs.openSync(file, 'r+'); fs.writeSync(fd, whole(byte), 0, 300_000, 0); fs.closeSync(fd); },
    (file) => fs.appendFileSync(file, Buffer.alloc(50_000, fs.readFileSync(file)[0])),
    (file) => fs.truncateSync(file, 100_000),
    (file, byte) => { fs.writeFileSync(file + '.new', whole(byte)); fs.renameSync(file + '.new', file); },
    (file, byte) => { fs.rmSync(file); fs.writeFileSync(file, whole(byte)); },
    (file, byte) => { fs.rmSync(file); fs.mkdirSync(file); fs.rmdirSync(file); fs.writeFileSync(file, whole(byte)); },
    (file, byte) => { fs.rmSync(file); fs.symlinkSync('nowhere', file); fs.rmSync(file); fs.writeFileSync(file, whole(byte)); },
  ];
  for (;;) {
    const file = directory + '/' + (turn % ${files});
    const act = acts[Math.floor(turn / ${files} + turn) % acts.length];
    act(file, 1 + turn % 251);
    turn++;
    // Leaves the processor to those who read.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    if (turn === ${files}) process.stdout.write('at work');
  }
`;

interface Result {
  readonly sources: readonly {
    readonly version: number | null;
    readonly unstable: readonly { readonly path: string }[];
    readonly unreadable: readonly { readonly path: string }[];
  }[];
}

void t.test('what changes all the time is never torn without a word', async (t) => {
  const home = newHome(t, {}, 'here');
  home.configure(
    `[main]\nbase_path: ${home.at('source')}\nencryption: none\n[directory]\npath: ${home.at('repository')}\n`,
  );
  fs.mkdirSync(home.at('source', 'busy'), { recursive: true });
  fs.writeFileSync(home.at('source', 'quiet'), 'quiet');
  for (let file = 0; file < files; file++)
    fs.writeFileSync(home.at('source', 'busy', `${file}`), Buffer.alloc(300_000, 1));
  const busy = spawn(process.execPath, ['-e', writer, home.at('source', 'busy')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const gone = outcome(busy);
  t.teardown(() => busy.kill('SIGKILL'));
  await new Promise((resolve) => busy.stdout.once('data', resolve));

  const found: string[] = [];
  for (let round = 1; round <= runs(2).numRuns; round++) {
    const { status, stdout, stderr } = await home.rr('backup', '--json');
    t.ok(status === 0 || status === 3, stderr);
    const { version, unstable, unreadable } = (JSON.parse(stdout) as Result).sources[0]!;
    const named = new Set([...unstable, ...unreadable].map(({ path }) => path));
    found.push(...named);
    const target = home.at(`restored-${round}`);
    await home.ok('download', `${version!}`, target);
    t.equal(fs.readFileSync(`${target}/quiet`, 'utf8'), 'quiet');
    for (const entry of fs.readdirSync(`${target}/busy`, { withFileTypes: true })) {
      if (!entry.isFile() || named.has(`busy/${entry.name}`)) continue;
      const bytes = fs.readFileSync(`${target}/busy/${entry.name}`);
      const isWhole = bytes.every((byte) => byte === bytes[0]);
      t.ok(isWhole, `version ${version!}: ${entry.name} is of one moment`);
    }
  }
  t.equal(busy.exitCode, null, 'it has changed them all the time');
  busy.kill('SIGKILL');
  await gone;
  t.comment(`${found.length} were named`);
});
