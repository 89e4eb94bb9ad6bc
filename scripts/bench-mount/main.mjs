// scripts/bench mount: puts tools, data and scenarios together, runs them, prints the table. See options.mjs.

import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { dataSets } from './data.mjs';
import { lines } from './lines.mjs';
import { readOptions, usage } from './options.mjs';
import { Places } from './places.mjs';
import { evaluate, table } from './report.mjs';
import { Runner } from './runner.mjs';
import { scenarios } from './scenarios.mjs';
import { Session } from './session.mjs';
import { startSlowS3 } from './slow-s3.mjs';
import { Borg } from './tools/borg.mjs';
import { Disk } from './tools/disk.mjs';
import { Restic } from './tools/restic.mjs';
import { Rrbackup } from './tools/rrbackup.mjs';

const say = (text) => process.stdout.write(`${text}\n`);

function chooseTools(session, { node, 'fuse-native': isFuseNative, dist, isTool }) {
  const ours = (path, driver) => {
    const nodeVersion = execFileSync(path, ['--version'], { encoding: 'utf8' }).trim();
    return new Rrbackup(session, { node: path, dist, nodeVersion, driver });
  };
  return [
    new Disk(),
    new Restic(session),
    new Borg(session),
    ours(process.execPath, 'kernel'),
    ...(node === undefined ? [] : [ours(resolve(node), 'kernel')]),
    ...(isFuseNative ? [ours(process.execPath, 'fuse-native')] : []),
  ].filter(({ name }) => isTool(name.split(' ')[0]));
}

function workDirectory(session, { work, quick }) {
  const directory = work === undefined ? mkdtempSync(join(tmpdir(), 'rrbackup-bench.')) : resolve(work);
  if (work === undefined) session.defer(async () => rmSync(directory, { recursive: true, force: true }));
  const own = join(directory, quick ? 'quick' : 'full');
  mkdirSync(own, { recursive: true });
  return own;
}

function sizeOf(directory) {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + lstatSync(join(entry.parentPath ?? entry.path, entry.name)).size, 0);
}

async function measure(session, options) {
  const dist = resolve(options.dist);
  if (!existsSync(join(dist, 'test/slow-proxy/main.js')))
    throw new Error(`${dist}: build first: npm ci && npm run build`);
  const chosen = scenarios.filter((scenario) => scenario.lines.some(options.isChosen));
  if (chosen.length === 0) throw new Error(`no line is called so; --lines names them`);
  const tools = chooseTools(session, { ...options, dist });
  const directory = workDirectory(session, options);
  const data = dataSets(session, join(directory, 'data'), options.quick);
  const { roundTrip_ms, bandwidth_bytes_per_s } = options;
  const isS3 = chosen.some(({ store }) => store === 's3');
  const s3 = isS3 && {
    ...(await startSlowS3(session, { directory, dist, roundTrip_ms, bandwidth_bytes_per_s })),
    roundTrip_ms,
  };
  const places = new Places({ directory, data, s3 });

  const versions = {};
  for (const tool of tools) versions[tool.name] = await tool.version();
  const used = [...new Set(chosen.map((scenario) => scenario.data))];
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, ${(totalmem() / 1e9).toFixed(0)} GB, Linux ${release()}`;
  const catalogConfiguration = options.config === undefined ? undefined : resolve(options.config);

  const runner = new Runner({ session, places, data, s3, tools, directory, catalogConfiguration });
  await runner.run(chosen, options.rounds);

  const isMixed = used.includes('s3-mixed');
  const floors = {
    bandwidth: isMixed ? sizeOf(await data.path('s3-mixed')) / bandwidth_bytes_per_s : undefined,
  };
  const wanted = lines.filter(({ id }) => options.isChosen(id));
  const rows = evaluate({ lines: wanted, measured: runner.measured, tools, floors });
  const about = Object.fromEntries(used.map((name) => [name, data.about(name)]));
  const kinds = tools.map(({ name, kind }) => ({ name, kind }));
  return {
    machine,
    rounds: options.rounds,
    roundTrip_ms,
    bandwidth_bytes_per_s,
    floors,
    versions,
    data: about,
    catalogConfiguration,
    tools: kinds,
    rows,
    failures: runner.failures,
  };
}

function print({
  machine,
  rounds,
  roundTrip_ms,
  bandwidth_bytes_per_s,
  floors,
  versions,
  data,
  catalogConfiguration,
  tools,
  rows,
  failures,
}) {
  say(`${machine}; ${rounds} rounds, in turn; cold: kernel caches dropped and a fresh mount`);
  say(
    Object.entries(versions)
      .map(([name, version]) => `${name}: ${version}`)
      .join('; '),
  );
  for (const [name, about] of Object.entries(data)) say(`data '${name}': ${about}`);
  if (catalogConfiguration !== undefined) say(`lines 'mount*': the repository of ${catalogConfiguration}`);
  say(
    `S3: ${roundTrip_ms} ms round trip, ${bandwidth_bytes_per_s / 1e6} MB/s${floors.bandwidth === undefined ? '' : `; the bandwidth alone takes ${floors.bandwidth.toFixed(2)} s for 's3-mixed'`}`,
  );
  say('');
  for (const line of table(rows, tools)) say(line);
  for (const { tool, lines: ids, round, message } of failures)
    say(`FAILED: ${tool}, ${ids[0]}, round ${round}: ${message}`);
}

let options;
try {
  options = readOptions(process.argv.slice(2), process.env);
} catch (error) {
  process.stderr.write(`bench: ${error.message}\n\n${usage}`);
  process.exit(2);
}
if (options.help) {
  say(usage);
} else if (options.lines) {
  for (const { id, title, unit } of lines) say(`${id.padEnd(24)} ${title} (${unit})`);
} else {
  // Plain http everywhere: a bundle of certificates would only be read.
  delete process.env.AWS_CA_BUNDLE;
  const session = new Session();
  try {
    if (process.getuid() !== 0) throw new Error('run it as root: it drops the kernel’s caches');
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
