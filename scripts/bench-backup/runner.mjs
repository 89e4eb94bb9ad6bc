// Runs courses: in every round each tool gets a new repository, and does each step in turn with the others, another one first
// each time. What goes wrong with one tool ends its course for that round, and the rest goes on.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { weigh } from '../bench-common/data-sets.mjs';
import { removeTree } from '../bench-common/program.mjs';
import { lineOf } from './lines.mjs';
import { measured } from './measured.mjs';

const packTarget_bytes = 16 * 1024 * 1024;

export class Runner {
  /** Line id → tool name → values, one a round. */
  measured = new Map();
  /** { tool, line, round, message } */
  failures = [];
  #options;

  /** { session, data, recipes, s3, tools, directory, isChosen } */
  constructor(options) {
    this.#options = options;
  }

  async run(courses, rounds) {
    for (const { data } of courses) await this.#options.data.path(data);
    for (let round = 0; round < rounds; round++) {
      for (const course of courses) await this.#course(course, round);
      process.stderr.write(`round ${round + 1} of ${rounds} is done\n`);
    }
  }

  async #course(course, round) {
    const { session, data, recipes, tools, directory, isChosen } = this.#options;
    const last = course.steps.findLastIndex((step) => isChosen(lineOf(course, step)));
    const path = await data.path(course.data);
    // Before each of them all data and the tool's own repository are in the kernel's cache (a machine may drop what was not read
    // for the time that a slow tool takes), and nothing that another has written is still on its way to the disk. (tar reads no
    // file when it sees that it writes to /dev/null.)
    const warm = (place) =>
      session.run('bash', ['-c', 'sync && tar -cf - -- "$@" | cat >/dev/null', '-', path, place.directory]);
    const room = join(directory, 'repositories', `${course.id}-${round}`);
    const runs = [];
    // Nothing is removed before all is measured: ext4 passes over the inodes of files that were deleted minutes ago one by one, and
    // whoever makes files then pays several times over.
    session.defer(async () => removeTree(room));
    try {
      for (const tool of tools.filter(({ stores }) =>
        stores.includes(course.store === undefined ? 'directory' : 's3'),
      )) {
        const run = {
          tool,
          round,
          place: await this.#place(tool, course, round, path, room),
          isFailed: false,
        };
        runs.push(run);
        await this.#try(run, `${course.id}-init`, () => tool.init(run.place));
      }
      for (const step of course.steps.slice(0, last + 1)) {
        if (step.id === 'changed') recipes[course.data].change(path);
        for (let turn = 0; turn < runs.length; turn++) {
          const run = runs[(turn + round) % runs.length];
          if (run.isFailed) continue;
          await warm(run.place);
          await this.#try(run, lineOf(course, step), () => this.#step(course, step, run));
        }
      }
    } finally {
      for (const { place } of runs) if (place.s3 !== undefined) await place.s3.emptyBucket(place.s3.bucket);
    }
  }

  async #place(tool, { id, store }, round, data, room) {
    const { s3 } = this.#options;
    const name = tool.name.replaceAll(/[^\w.]/g, '-');
    const directory = join(room, name);
    mkdirSync(directory, { recursive: true });
    if (store === undefined) return { data, directory };
    const bucket = `bench-${id}-${name}-${round}`.toLowerCase();
    await s3.newBucket(bucket);
    return {
      data,
      directory,
      s3: { ...s3, bucket, endpoint: store === 'slow' ? s3.slowEndpoint : s3.endpoint },
    };
  }

  async #try(run, line, work) {
    try {
      await work();
    } catch (error) {
      if (this.#options.session.isInterrupted) throw error;
      const { message } = error;
      run.isFailed = true;
      this.failures.push({ tool: run.tool.name, line, round: run.round + 1, message });
      process.stderr.write(`  ${run.tool.name}: ${line} FAILED: ${message}\n`);
    }
  }

  async #step(course, step, { tool, place, round }) {
    const id = lineOf(course, step);
    const figures = await this.#counted(course, () =>
      step.id === 'restore' ? this.#restore(tool, place, round) : this.#backup(tool, place, step),
    );
    if (figures === undefined || !this.#options.isChosen(id)) return;
    const { elapsed, ...others } = figures;
    this.#note(id, tool, elapsed);
    for (const [figure, value] of Object.entries(others)) this.#note(`${id}-${figure}`, tool, value);
    const said = Object.entries(figures).map(([figure, value]) => `${figure} ${Number(value.toFixed(3))}`);
    process.stderr.write(`  ${tool.name}: ${id}: ${said.join(', ')}\n`);
  }

  #note(id, { name }, value) {
    if (!this.measured.has(id)) this.measured.set(id, new Map());
    const byTool = this.measured.get(id);
    byTool.set(name, [...(byTool.get(name) ?? []), value]);
  }

  #measured(command) {
    const { session, directory } = this.#options;
    return measured(session, command, directory);
  }

  async #backup(tool, place, { id }) {
    place.version = id; // borg names its archives.
    const command = tool.backupCommand(place);
    if (command === undefined) return undefined;
    const figures = await this.#measured(command);
    return id === 'first' ? { ...figures, stored: (await this.#stored_bytes(place)) / 1e6 } : figures;
  }

  async #restore(tool, place, round) {
    const { session } = this.#options;
    const out = join(place.directory, 'out');
    mkdirSync(out);
    await tool.forget(place);
    const figures = await this.#measured(tool.restoreCommand(place, out));
    if (round === 0)
      await session.run('diff', ['-r', '-q', '--no-dereference', place.data, tool.restoredAt(place, out)]);
    return figures;
  }

  /** With the requests that went through the slow proxy meanwhile, all of them and those beyond one per 16 MiB stored. */
  async #counted({ store }, work) {
    if (store !== 'slow') return work();
    const { s3 } = this.#options;
    const before = await s3.counts();
    const figures = await work();
    const requests = (await s3.counts()).requests - before.requests;
    if (figures.stored === undefined) return { ...figures, requests };
    return { ...figures, requests, excess: requests - (figures.stored * 1e6) / packTarget_bytes };
  }

  async #stored_bytes({ directory, s3 }) {
    return s3 === undefined ? weigh(join(directory, 'repository')).size_bytes : s3.stored_bytes(s3.bucket);
  }
}
