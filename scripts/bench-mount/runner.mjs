// Runs scenarios: every tool in turn in every round, another one first each time, each on a cold machine and a fresh mount.
// What goes wrong with one tool on one scenario is noted and the rest goes on.

import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dropKernelCaches } from '../bench-common/session.mjs';

const touchedBlocks = fileURLToPath(new URL('touched-blocks.mjs', import.meta.url));
const defaultTools = ['disk', 'peer', 'ours'];

export class Runner {
  /** Line id → tool name → values, one a round. */
  measured = new Map();
  /** { tool, line, round, message }; round 0: before anything was measured. */
  failures = [];
  #checks = new Map();
  #unprepared = new Set();
  #options;

  /** { session, places, data, s3, tools, directory, dist, catalogConfiguration } */
  constructor(options) {
    this.#options = options;
  }

  async run(scenarios, rounds) {
    await this.#prepare(scenarios);
    for (let round = 0; round < rounds; round++) {
      for (const scenario of scenarios) {
        if (scenario.isOnce && round > 0) continue;
        const tools = this.#toolsFor(scenario).filter((tool) => !this.#unprepared.has(key(tool, scenario)));
        for (let turn = 0; turn < tools.length; turn++)
          await this.#measure(scenario, tools[(turn + round) % tools.length], round);
      }
      process.stderr.write(`round ${round + 1} of ${rounds} is done\n`);
    }
  }

  /** All data and all repositories, before anything is measured. */
  async #prepare(scenarios) {
    const { session, places, data } = this.#options;
    for (const scenario of scenarios) {
      if (scenario.otherData !== undefined) await data.path(scenario.otherData);
      for (const tool of this.#toolsFor(scenario)) {
        if (this.#unprepared.has(key(tool, scenario))) continue;
        try {
          await places.of(tool, scenario.data, scenario.store ?? 'directory');
        } catch (error) {
          if (session.isInterrupted) throw error;
          this.#unprepared.add(key(tool, scenario));
          this.#fail(tool, scenario, 0, error);
        }
      }
    }
  }

  #toolsFor(scenario) {
    const { tools, catalogConfiguration } = this.#options;
    // A repository that was given by hand exists for us alone: nothing to compare with.
    const isAlone = scenario.isMountTimed && catalogConfiguration !== undefined;
    return tools.filter((tool) => suits(tool, scenario) && (tool.kind === 'ours' || !isAlone));
  }

  #fail(tool, { lines: [line] }, round, { message }) {
    this.failures.push({ tool: tool.name, line, round, message });
    process.stderr.write(`  ${tool.name}: ${line} FAILED: ${message}\n`);
  }

  async #measure(scenario, tool, round) {
    const [first] = scenario.lines;
    try {
      const { check, ...values } = await this.#once(scenario, tool);
      for (const [id, value] of Object.entries(values))
        if (value !== undefined) this.#note(id, tool.name, value);
      const figures = Object.entries(values).map(([id, value]) => `${id} ${value?.toFixed(3)}`);
      process.stderr.write(`  ${tool.name}: ${figures.join(', ')}\n`);
      if (check !== undefined) this.#compare(first, check);
    } catch (error) {
      if (this.#options.session.isInterrupted) throw error;
      this.#fail(tool, scenario, round + 1, error);
    }
  }

  #note(id, name, value) {
    if (!this.measured.has(id)) this.measured.set(id, new Map());
    const byTool = this.measured.get(id);
    byTool.set(name, [...(byTool.get(name) ?? []), value]);
  }

  #compare(id, check) {
    const expected = this.#checks.get(id) ?? check;
    this.#checks.set(id, expected);
    if (check !== expected)
      throw new Error(`it read something else than the first: '${check}', not '${expected}'`);
  }

  /** Stored bytes of the blocks that `count` random reads of a file (readers.mjs) touch. */
  async #touched_bytes(ours, place, name, count) {
    const { session, dist } = this.#options;
    const repositoryId = readFileSync(join(place.directory, 'repository-id'), 'utf8');
    const args = [touchedBlocks, dist, ours.catalog(place), repositoryId, name, String(count)];
    return Number((await session.run(process.execPath, args)).stdout);
  }

  async #once(scenario, tool) {
    const { session, places, data, s3, tools, directory, catalogConfiguration } = this.#options;
    const { store = 'directory' } = scenario;
    const made = await places.of(tool, scenario.data, store);
    const isGiven = scenario.isMountTimed && tool.kind === 'ours' && catalogConfiguration !== undefined;
    const place = isGiven ? { ...made, configuration: catalogConfiguration } : made;
    const ours = tools.find(({ kind }) => kind === 'ours');
    const touched_bytes = async (name, count) =>
      ours && this.#touched_bytes(ours, await places.of(ours, scenario.data, store), name, count);

    const mountpoint = join(directory, 'mnt');
    const scratch = join(directory, 'scratch');
    rmSync(scratch, { recursive: true, force: true });
    mkdirSync(scratch, { recursive: true });
    if (!isGiven) await tool.forget(place);
    await dropKernelCaches(session);
    if (scenario.isWarm) await (await tool.mount(place, mountpoint)).release();
    const began_ms = performance.now();
    const mount = scenario.isCatalogFresh
      ? await tool.mountWithoutCatalog(place, mountpoint)
      : await tool.mount(place, mountpoint);
    try {
      const dataPath = (name) => data.path(name);
      return await scenario.run({
        session,
        tool,
        place,
        scratch,
        s3,
        began_ms,
        mountpoint,
        touched_bytes,
        dataPath,
        ...mount,
      });
    } finally {
      await mount.release();
      rmSync(scratch, { recursive: true, force: true });
    }
  }
}

const key = (tool, { data, store }) => `${tool.name} ${data} ${store}`;

function suits(tool, { store = 'directory', tools = defaultTools }) {
  return tools.includes(tool.kind) && tool.stores.includes(store);
}
