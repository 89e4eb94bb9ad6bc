// What scripts/soak-mount runs: makes the data, backs it up again and again, reads it through the mount, compares, and counts.

import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { memory } from './bench-mount/server-figures.mjs';

const run = promisify(execFile);
const minutes = Number(process.argv[2]);
const readerCount = 64;
const anonymousLimit_MB = 300;
const newVersion_ms = 10_000;
const sample_ms = 500;
/** Older ones are not read any more, so that the disk does not fill. */
const keptVersions = 6;
const smallFiles = 1500;
const build = path.resolve(import.meta.dirname, '..', process.env.RRBACKUP_BUILD ?? 'dist');
const reader = path.join(import.meta.dirname, 'soak-mount-reader.mjs');

const work = fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-soak-'));
const at = (...names) => path.join(work, ...names);
const env = { ...process.env, XDG_STATE_HOME: at('state'), XDG_CACHE_HOME: at('cache') };
const rr = (...args) =>
  run(process.execPath, [`${build}/commands/main.js`, '-q', '-c', at('ini'), ...args], { env });

const random = (below) => Math.floor(Math.random() * below);

/** Many small files in a few directories, a few large ones, one of them with holes. */
function makeData() {
  for (let index = 0; index < smallFiles; index++) {
    const directory = at('source', `d${index % 12}`, `e${index % 5}`);
    fs.mkdirSync(directory, { recursive: true });
    fs.writeFileSync(path.join(directory, `f${index}`), randomBytes(random(8000)));
  }
  for (const name of ['large1', 'large2'])
    fs.writeFileSync(at('source', name), randomBytes(12_000_000 + random(9999)));
  const sparse = fs.openSync(at('source', 'sparse'), 'w');
  for (let index = 0; index < 6; index++)
    fs.writeSync(sparse, randomBytes(700_000), 0, 700_000, index * 5_000_000 + random(4096));
  fs.closeSync(sparse);
}

/** Some files change, some go, some come. */
function changeData() {
  for (let count = 0; count < 100; count++) {
    const index = random(smallFiles);
    const name = at('source', `d${index % 12}`, `e${index % 5}`, `f${index}`);
    if (random(4) === 0) fs.rmSync(name, { force: true });
    else fs.writeFileSync(name, randomBytes(random(8000)));
  }
  const large = fs.openSync(at('source', 'large1'), 'r+');
  fs.writeSync(large, randomBytes(100_000), 0, 100_000, random(11_000_000));
  fs.closeSync(large);
}

const shown = () =>
  fs
    .readdirSync(at('mnt', 'source'))
    .filter((name) => /^\d/.test(name))
    .sort();

/** Keeps the source as it is now beside the version that has it; gives the version's name in the mount. */
async function backUp(count) {
  await run('cp', ['-a', '--sparse=always', at('source'), at('kept', 'new')]);
  await rr('backup');
  let names = shown();
  while (names.length < count) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    names = shown();
  }
  fs.renameSync(at('kept', 'new'), at('kept', names.at(-1)));
  return names.at(-1);
}

let server;
const readers = [];
const failures = [];
const total = { bytes: 0, files: 0 };
const peak = { anonymous: 0, mapped: 0, resident: 0 };

function startReader() {
  const child = spawn(process.execPath, [reader, at('kept'), at('mnt', 'source')], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // Or the backups would hardly come to their turn.
  os.setPriority(child.pid, 10);
  let output = '';
  let errors = '';
  child.stdout.on('data', (text) => (output += text));
  child.stderr.on('data', (text) => (errors += text));
  return {
    child,
    ended: new Promise((resolve) =>
      child.on('close', (status) => {
        if (status === 0) {
          const { bytes, files } = JSON.parse(output);
          total.bytes += bytes;
          total.files += files;
        } else failures.push(errors.trim() || `a reader ended with ${status}`);
        resolve();
      }),
    ),
  };
}

async function leave() {
  for (const { child } of readers) if (child.exitCode === null) child.kill('SIGKILL');
  if (server?.exitCode === null) {
    server.kill('SIGTERM');
    await new Promise((resolve) => server.once('exit', resolve));
  }
  fs.rmSync(work, { recursive: true, force: true });
}

async function soak() {
  for (const name of ['source', 'kept', 'mnt']) fs.mkdirSync(at(name));
  fs.writeFileSync(
    at('ini'),
    `[main]\nbase_path: ${at('source')}\ncrypt_password: soak\n[directory]\npath: ${at('repository')}\n`,
    { mode: 0o600 },
  );
  makeData();
  await rr('backup');
  await new Promise((resolve) => setTimeout(resolve, 1000));
  server = spawn(
    process.execPath,
    [`${build}/commands/main.js`, '-q', '-c', at('ini'), 'mount', '--foreground', at('mnt')],
    {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  while (!fs.existsSync(at('mnt', 'source'))) {
    if (server.exitCode !== null) throw new Error('the mount ended before it was there');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await run('cp', ['-a', '--sparse=always', at('source'), at('kept', shown()[0])]);
  let versions = 1;
  const timer = setInterval(() => {
    const now = memory(server.pid);
    for (const name of Object.keys(peak)) peak[name] = Math.max(peak[name], now[name]);
  }, sample_ms);
  for (let count = 0; count < readerCount; count++) readers.push(startReader());
  const end_ms = performance.now() + minutes * 60_000;
  const kept = [shown()[0]];
  while (performance.now() < end_ms && failures.length === 0 && server.exitCode === null) {
    await new Promise((resolve) =>
      setTimeout(resolve, Math.min(newVersion_ms, Math.max(0, end_ms - performance.now()))),
    );
    changeData();
    kept.push(await backUp(++versions));
    // Readers leave a version whose copy is being taken away alone: it is gone in one step.
    if (kept.length > keptVersions) {
      const old = kept.shift();
      fs.renameSync(at('kept', old), at(`old-${old}`));
      fs.rmSync(at(`old-${old}`), { recursive: true });
    }
  }
  for (const { child } of readers) child.stdin.end();
  await Promise.all(readers.map(({ ended }) => ended));
  clearInterval(timer);
  if (server.exitCode !== null) failures.push('the server ended');
  if (peak.anonymous > anonymousLimit_MB) failures.push(`the server held ${peak.anonymous.toFixed(0)} MB`);
  for (const failure of failures.slice(0, 10)) process.stderr.write(`${failure}\n`);
  process.stdout.write(
    `${minutes} min, ${readerCount} readers, ${versions} versions, ${total.files} files and ${(total.bytes / 1e9).toFixed(2)} GB ` +
      `compared, ${failures.length} failures; server: ${peak.anonymous.toFixed(0)} MB anonymous, ` +
      `${peak.mapped.toFixed(0)} MB mapped, ${peak.resident.toFixed(0)} MB resident at most\n`,
  );
  if (failures.length > 0) process.exitCode = 1;
}

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => void leave().finally(() => process.exit(130)));
try {
  await soak();
} finally {
  await leave();
}
