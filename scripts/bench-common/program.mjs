// What every benchmark's main program is made of: its tools, its work directory, what it says of the machine, and how it ends.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { makePeer } from './peers.mjs';
import { Session } from './session.mjs';
import { Borg } from './tools/borg.mjs';
import { Disk } from './tools/disk.mjs';
import { Restic } from './tools/restic.mjs';
import { Rrbackup } from './tools/rrbackup.mjs';

export const say = (text) => process.stdout.write(`${text}\n`);

/** rrbackup comes once for each { node, driver } of `ours`. */
function allTools(session, { dist, peers }, ours) {
  return [
    new Disk(),
    new Restic(session),
    new Borg(session),
    ...peers.map((peer) => makePeer(session, peer)),
    ...ours.map(({ node, driver }) => {
      const nodeVersion = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
      const name = `rrbackup ${driver === 'kernel' ? nodeVersion : driver}`;
      return new Rrbackup(session, {
        kind: 'ours',
        name,
        node,
        program: join(dist, 'commands/main.js'),
        driver,
      });
    }),
  ];
}

/** The chosen tools; `moreOurs` are besides rrbackup on this Node and on that of --node. */
export function chooseTools(session, { node, dist, peers, isTool }, moreOurs = []) {
  const ours = [process.execPath, ...(node === undefined ? [] : [resolve(node)])];
  const all = [...ours.map((path) => ({ node: path, driver: 'kernel' })), ...moreOurs];
  const chosen = allTools(session, { dist, peers }, all).filter(({ name }) => isTool(name.split(' ')[0]));
  if (chosen.length === 0) throw new Error('no tool is called so; --help names them');
  return chosen;
}

/** The directory that the project was built to, once it is sure that it was. */
export function builtProject({ dist }) {
  const directory = resolve(dist);
  if (!existsSync(join(directory, 'test/slow-proxy/main.js')))
    throw new Error(`${directory}: build first: npm ci && npm run build`);
  return directory;
}

/** `room` is the caller's own part of it. */
export function workDirectory(session, { work }, room) {
  const directory = work === undefined ? mkdtempSync(join(tmpdir(), 'rrbackup-bench.')) : resolve(work);
  if (work === undefined) session.defer(async () => removeTree(directory));
  const own = join(directory, room);
  mkdirSync(own, { recursive: true });
  return own;
}

/** A million files at once, which rmSync takes minutes for; Ctrl-C does not reach it. */
export function removeTree(directory) {
  execFileSync('setsid', ['--wait', 'rm', '-rf', directory]);
}

export async function versionsOf(tools) {
  const versions = {};
  for (const tool of tools) versions[tool.name] = await tool.version();
  return versions;
}

export function machine() {
  return `${cpus().length} × ${cpus()[0]?.model.trim()}, ${(totalmem() / 1e9).toFixed(0)} GB, Linux ${release()}`;
}

export function sayVersions(versions) {
  say(
    Object.entries(versions)
      .map(([name, version]) => `${name}: ${version}`)
      .join('; '),
  );
}

export function sayFailures(failures) {
  for (const { tool, line, round, message } of failures)
    say(`FAILED: ${tool}, ${line}, round ${round}: ${message}`);
}

/**
 * Runs a benchmark: `measure(session, options)` answers what goes into --json, its `failures` among it; `print` is told that.
 */
export async function runProgram({ usage, readOptions, lines, measure, print }) {
  let options;
  try {
    options = readOptions(process.argv.slice(2), process.env);
  } catch (error) {
    process.stderr.write(`bench: ${error.message}\n\n${usage}`);
    process.exit(2);
  }
  if (options.help) return say(usage);
  if (options.lines) {
    for (const { id, title, unit } of lines) say(`${id.padEnd(24)} ${title} (${unit})`);
    return;
  }
  // Plain http everywhere: a bundle of certificates would only be read.
  delete process.env.AWS_CA_BUNDLE;
  const session = new Session();
  try {
    if (process.getuid() !== 0)
      throw new Error('run it as root: it drops the kernel’s caches, keeps owners, and runs an S3 server');
    const result = await measure(session, options);
    print(result);
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, undefined, 2)}\n`);
    process.exitCode = result.failures.length > 0 ? 1 : 0;
  } catch (error) {
    if (!session.isInterrupted) process.stderr.write(`bench: ${error.message}\n`);
    process.exitCode = 1;
  } finally {
    await session.end();
  }
  process.exit(session.isInterrupted ? 130 : process.exitCode);
}
