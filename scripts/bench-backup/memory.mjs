// scripts/bench memory: rrbackup's peak memory in first and unchanged backups, by the number of files.

import { join } from 'node:path';
import { dataSets } from '../bench-common/data-sets.mjs';
import { readOptions as readCommonOptions } from '../bench-common/options.mjs';
import * as program from '../bench-common/program.mjs';
import { align, figure } from '../bench-common/report.mjs';
import { tinyFiles } from './data.mjs';
import { lineOf, linesOf } from './lines.mjs';
import { Runner } from './runner.mjs';

const { say } = program;
const bound_MB = 300;
const steps = [
  { id: 'first', goals: [] },
  { id: 'unchanged', goals: [] },
];

const usage = `scripts/bench memory [options]: rrbackup's peak memory in a first backup and one of nothing changed, of 10 thousand,
100 thousand and 1 million files of 20 bytes; rrbackup alone

  --quick              1, 10 and 100 thousand
  --long               10 million empty files, too
  --rounds N           default 1; the highest figures count
  --only, --lines, --node, --dist, --work, --json: as scripts/bench --help says

'anonymous' is what only swap could take away, 'mapped' are files, the catalog among them, which the kernel drops when it needs
the room.
`;

function readOptions(argv) {
  return readCommonOptions(argv, { long: { type: 'boolean', default: false } }, 1);
}

function coursesOf({ quick, long }) {
  const counts = quick ? [1000, 10_000, 100_000] : [10_000, 100_000, 1_000_000];
  if (long) counts.push(10_000_000);
  return counts.map((count) => ({
    id: `files-${count}`,
    data: `files-${count}`,
    title: `${count} files`,
    count,
    steps,
  }));
}

function recipesOf(courses) {
  const recipe = ({ data, count }) => {
    const size_bytes = count > 1_000_000 ? 0 : 20;
    return [
      data,
      {
        about: `${count} files of ${size_bytes} bytes, 1,000 to a directory`,
        make: (directory) => tinyFiles(directory, count, size_bytes),
      },
    ];
  };
  return Object.fromEntries(courses.map(recipe));
}

/** One row for each number of files, step and tool that was measured: the highest figures of all rounds. */
function rowsOf({ courses, tools, measured }) {
  return steps.flatMap((step) =>
    tools.flatMap(({ name }) => {
      const rows = courses.flatMap((course) => {
        const id = lineOf(course, step);
        const values = (line) => measured.get(line)?.get(name) ?? [];
        if (values(id).length === 0) return [];
        const [anonymous, mapped] = ['anonymous', 'mapped'].map((kind) => values(`${id}-${kind}`));
        const peak = { anonymous: Math.max(...anonymous), mapped: Math.max(...mapped) };
        const raw = { elapsed: values(id), cpu: values(`${id}-cpu`), anonymous, mapped };
        return [{ step: step.id, tool: name, count: course.count, ...peak, values: raw }];
      });
      return rows.map((row) => ({
        ...row,
        ofFewest: row.anonymous / rows[0].anonymous,
        isBounded: row.anonymous <= bound_MB,
      }));
    }),
  );
}

async function measure(session, options) {
  const dist = program.builtProject(options);
  const courses = coursesOf(options).filter((course) =>
    steps.some((step) => options.isChosen(lineOf(course, step))),
  );
  const recipes = recipesOf(courses);
  const tools = program.chooseTools(session, { ...options, dist }).filter(({ kind }) => kind === 'ours');
  const directory = program.workDirectory(session, options, 'memory');
  const data = dataSets(session, join(directory, 'data'), recipes);
  const runner = new Runner({ session, data, recipes, tools, directory, isChosen: options.isChosen });
  await runner.run(courses, options.rounds);
  return {
    machine: program.machine(),
    rounds: options.rounds,
    versions: await program.versionsOf(tools),
    rows: rowsOf({ courses, tools, measured: runner.measured }),
    failures: runner.failures,
  };
}

function print({ machine, rounds, versions, rows, failures }) {
  say(`${machine}; ${rounds} rounds, each with a new repository; peaks, all data in the kernel's cache`);
  program.sayVersions(versions);
  say('');
  const cells = [
    [
      'backup',
      'tool',
      'files',
      's',
      'CPU s',
      'anonymous MB',
      'of the fewest',
      'mapped MB',
      `≤ ${bound_MB} MB`,
    ],
    ...rows.map(({ step, tool, count, values, anonymous, ofFewest, mapped, isBounded }) => [
      step,
      tool,
      String(count),
      ...[Math.max(...values.elapsed), Math.max(...values.cpu), anonymous, ofFewest, mapped].map(figure),
      isBounded ? 'yes' : 'NO',
    ]),
  ];
  for (const line of align(cells, 2)) say(line);
  program.sayFailures(failures);
}

const lines = linesOf(coursesOf({ quick: false, long: true }));
await program.runProgram({ usage, readOptions, lines, measure, print });
