// scripts/bench mount: puts tools, data and scenarios together, runs them, prints the table. See options.mjs.

import { join, resolve } from 'node:path';
import { dataSets, weigh } from '../bench-common/data-sets.mjs';
import * as program from '../bench-common/program.mjs';
import { evaluate, table } from '../bench-common/report.mjs';
import { startS3 } from '../bench-common/s3.mjs';
import { recipes } from './data.mjs';
import { lines } from './lines.mjs';
import { readOptions, usage } from './options.mjs';
import { Places } from './places.mjs';
import { Runner } from './runner.mjs';
import { scenarios } from './scenarios.mjs';

const { say } = program;

async function measure(session, options) {
  const dist = program.builtProject(options);
  const chosen = scenarios.filter((scenario) => scenario.lines.some(options.isChosen));
  if (chosen.length === 0) throw new Error(`no line is called so; --lines names them`);
  const fuseNative = options['fuse-native'] ? [{ node: process.execPath, driver: 'fuse-native' }] : [];
  const tools = program.chooseTools(session, { ...options, dist }, fuseNative);
  const directory = program.workDirectory(session, options, options.quick ? 'quick' : 'full');
  const data = dataSets(session, join(directory, 'data'), recipes(options.quick));
  const { roundTrip_ms, bandwidth_bytes_per_s } = options;
  const isS3 = chosen.some(({ store }) => store === 's3');
  const s3 = isS3 && {
    ...(await startS3(session, { directory, dist, roundTrip_ms, bandwidth_bytes_per_s })),
    roundTrip_ms,
  };
  const places = new Places({ session, directory, data, s3 });

  const versions = await program.versionsOf(tools);
  const used = [...new Set(chosen.map((scenario) => scenario.data))];
  const catalogConfiguration = options.config === undefined ? undefined : resolve(options.config);

  const runner = new Runner({ session, places, data, s3, tools, directory, dist, catalogConfiguration });
  await runner.run(chosen, options.rounds);

  const isMixed = used.includes('s3-mixed');
  const floors = {
    bandwidth: isMixed ? weigh(await data.path('s3-mixed')).size_bytes / bandwidth_bytes_per_s : undefined,
  };
  const wanted = lines.filter(({ id }) => options.isChosen(id));
  const rows = evaluate({ lines: wanted, measured: runner.measured, tools, floors });
  const about = Object.fromEntries(used.map((name) => [name, data.about(name)]));
  const kinds = tools.map(({ name, kind }) => ({ name, kind }));
  return {
    machine: program.machine(),
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

function print(result) {
  const { rounds, roundTrip_ms, bandwidth_bytes_per_s, floors, data, catalogConfiguration, tools, rows } =
    result;
  say(`${result.machine}; ${rounds} rounds, in turn; cold: kernel caches dropped and a fresh mount`);
  program.sayVersions(result.versions);
  for (const [name, about] of Object.entries(data)) say(`data '${name}': ${about}`);
  if (catalogConfiguration !== undefined) say(`lines 'mount*': the repository of ${catalogConfiguration}`);
  say(
    `S3: ${roundTrip_ms} ms round trip, ${bandwidth_bytes_per_s / 1e6} MB/s${floors.bandwidth === undefined ? '' : `; the bandwidth alone takes ${floors.bandwidth.toFixed(2)} s for 's3-mixed'`}`,
  );
  say('');
  for (const line of table(rows, tools)) say(line);
  program.sayFailures(result.failures);
}

await program.runProgram({ usage, readOptions, lines, measure, print });
