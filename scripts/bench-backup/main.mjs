// scripts/bench: puts tools, data and courses together, runs them, prints the table. See options.mjs.

import { join } from 'node:path';
import { dataSets, weigh } from '../bench-common/data-sets.mjs';
import * as program from '../bench-common/program.mjs';
import { evaluate, table } from '../bench-common/report.mjs';
import { startS3 } from '../bench-common/s3.mjs';
import { recipes as allRecipes } from './data.mjs';
import { courses, lineOf, linesOf } from './lines.mjs';
import { readOptions, usage } from './options.mjs';
import { Runner } from './runner.mjs';

const { say } = program;

async function measure(session, options) {
  const dist = program.builtProject(options);
  const { isChosen, roundTrip_ms, bandwidth_bytes_per_s } = options;
  const chosen = courses.filter((course) => course.steps.some((step) => isChosen(lineOf(course, step))));
  if (chosen.length === 0) throw new Error('no line is called so; --lines names them');
  const tools = program.chooseTools(session, { ...options, dist });
  const directory = program.workDirectory(session, options, options.quick ? 'backup-quick' : 'backup');
  const recipes = allRecipes(options.quick);
  const data = dataSets(session, join(directory, 'data'), recipes);
  const s3 = chosen.some(({ store }) => store !== undefined)
    ? await startS3(session, { directory, dist, roundTrip_ms, bandwidth_bytes_per_s })
    : undefined;

  const runner = new Runner({ session, data, recipes, s3, tools, directory, isChosen });
  await runner.run(chosen, options.rounds);

  const used = [...new Set(chosen.map((course) => course.data))];
  const sizes = {};
  for (const name of used) sizes[name] = weigh(await data.path(name));
  const floors = { bandwidth: sizes.mixed && sizes.mixed.size_bytes / bandwidth_bytes_per_s };
  return {
    machine: program.machine(),
    rounds: options.rounds,
    roundTrip_ms,
    bandwidth_bytes_per_s,
    floors,
    versions: await program.versionsOf(tools),
    data: Object.fromEntries(used.map((name) => [name, { about: data.about(name), ...sizes[name] }])),
    tools: tools.map(({ name, kind }) => ({ name, kind })),
    rows: evaluate({ lines: linesOf(chosen, isChosen), measured: runner.measured, tools, floors }),
    failures: runner.failures,
  };
}

function print(result) {
  const { rounds, roundTrip_ms, bandwidth_bytes_per_s, floors, data, tools, rows } = result;
  say(
    `${result.machine}; ${rounds} rounds, in turn, each with a new repository; all data in the kernel's cache`,
  );
  program.sayVersions(result.versions);
  for (const [name, { about, count, size_bytes }] of Object.entries(data))
    say(`data '${name}': ${about} (${count} files, ${(size_bytes / 1e6).toFixed(0)} MB)`);
  if (floors.bandwidth !== undefined)
    say(
      `slow S3: ${roundTrip_ms} ms round trip, ${bandwidth_bytes_per_s / 1e6} MB/s; the bandwidth alone takes ${floors.bandwidth.toFixed(2)} s for 'mixed'`,
    );
  say('');
  for (const line of table(rows, tools)) say(line);
  program.sayFailures(result.failures);
}

await program.runProgram({ usage, readOptions, lines: linesOf(courses), measure, print });
