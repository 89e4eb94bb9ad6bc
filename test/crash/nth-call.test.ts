// One call to a disk fails, whichever it is: the source's, the repository's, that of what this machine remembers, a restore's
// target. What is told of as done is done, what is not is named or an error in words, and the next run makes good.

import fs from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { backup, type Repository, restore } from '../../lib/index.js';
import { DirectoryStore } from '../../lib/store/directory/index.js';
import { noMount } from '../mount/live.js';
import { Machine } from '../repository/fixture.js';
import { runs } from '../runs.js';
import { describeTree } from '../trees.js';
import { FailingDisk, type Fault } from './failing-disk.js';

const { EIO, ENOSPC, EMFILE } = constants.errno;

/** How a disk fails. */
const ways = [
  { calls: 'all', errno: EIO, name: 'EIO' },
  { calls: 'writing', errno: ENOSPC, name: 'ENOSPC' },
  { calls: 'opening', errno: EMFILE, name: 'EMFILE' },
] as const;

class Place {
  readonly disk: FailingDisk;
  readonly source: Machine['source'];
  readonly #machine: Machine;

  private constructor(t: Test, disk: FailingDisk) {
    this.disk = disk;
    this.#machine = new Machine(t);
    this.source = { ...this.#machine.source, path: this.at('source') };
    for (const name of ['source/a/b', 'source/c', 'repository', 'state'])
      fs.mkdirSync(this.at(name), { recursive: true });
    fs.writeFileSync(this.at('source', 'large'), randomBytes(500_000));
    this.change();
  }

  static async make(t: Test): Promise<Place> {
    return new Place(t, await FailingDisk.make(t));
  }

  at(...names: string[]): string {
    return path.join(this.disk.path, ...names);
  }

  change(): void {
    for (const name of ['a/1', 'a/b/2', 'c/3', 'c/4'])
      fs.writeFileSync(this.at('source', name), randomBytes(20_000));
  }

  async with<Result>(work: (repository: Repository) => Promise<Result>): Promise<Result> {
    const repository = await this.#machine.open(
      {},
      {
        store: new DirectoryStore(this.at('repository')),
        configuration: { stateDirectory: this.at('state') },
      },
    );
    try {
      return await work(repository);
    } finally {
      await repository.close();
    }
  }

  /** What the work answers or throws, and what of the disk failed meanwhile. */
  async during<Result>(fault: Partial<Fault>, work: () => Promise<Result>) {
    this.disk.tell(fault);
    const result = await work().catch((error: unknown) => error as Error);
    const report = this.disk.ask();
    this.disk.tell();
    return { result, ...report };
  }

  async restored(repository: Repository, sequence: number): Promise<string[]> {
    const target = this.at('restored');
    await restore(repository, { stream: repository.streamId('source'), sequence, target });
    const tree = describeTree(target);
    fs.rmSync(target, { recursive: true });
    return tree;
  }
}

/** The one in the middle; in a long run more of them, spread over all, or all. */
function* chosen(calls: number): Generator<number> {
  const step = Math.max(1, calls / runs(1).numRuns);
  for (let nth = (step + 1) / 2; nth <= calls; nth += step) yield Math.floor(nth);
}

function isInWords(t: Test, error: Error, what: string): void {
  t.ok(error instanceof RrbackupError, `${what}: ${error.message}`);
  t.notMatch(error.message, /\bE[A-Z]{4,}:|undefined/, what);
}

void t.test('a disk of which one call fails', { skip: noMount }, async (t) => {
  const place = await Place.make(t);
  const run = () => place.with((repository) => backup(repository, place.source));
  let version = (await run()).newest;
  let tree: string[];

  for (const below of ['source', 'repository', 'state']) {
    place.change();
    const whole = await place.during({ below }, run);
    tree = describeTree(place.source.path);
    t.match(whole.result, { version: ++version });
    for (const { calls, errno, name } of ways) {
      // Nothing writes to the source.
      if (below === 'source' && calls === 'writing') continue;
      await t.test(`a backup: ${name}, ${below}`, async (t) => {
        for (const nth of chosen(whole.calls[calls])) {
          place.change();
          const before = tree;
          tree = describeTree(place.source.path);
          const { result, failed } = await place.during({ below, calls, nth, errno }, run);
          const what = `call ${nth} of ${whole.calls[calls]}, ${failed || 'which was not made'}`;
          if (result instanceof Error) isInWords(t, result, what);
          await place.with(async (repository) => {
            t.strictSame(await place.restored(repository, version), before, `${what}: the one before`);
            const head = repository.catalog.streams()[0]!.head;
            if (!(result instanceof Error)) {
              t.equal(head, result.version ?? version, `${what}: what is told of is there`);
              const named = result.unreadable.map(({ path }) => Buffer.from(path).toString());
              const others = (line: string): boolean =>
                !named.some((path) => path === '' || line.startsWith(path));
              const found = await place.restored(repository, head);
              t.strictSame(found.filter(others), tree.filter(others), `${what}: what it does not name`);
            }
            version = (await backup(repository, place.source)).newest;
            if (result instanceof Error || version > head)
              t.strictSame(await place.restored(repository, version), tree, `${what}: the next one`);
          });
        }
      });
    }
  }

  for (const { calls, errno, name } of ways)
    await t.test(`a restore: ${name}`, async (t) => {
      const target = place.at('target');
      await place.with(async (repository) => {
        const stream = repository.streamId('source');
        const put = () => restore(repository, { stream, sequence: version, target });
        const whole = await place.during({ below: 'target' }, put);
        for (const nth of chosen(whole.calls[calls])) {
          fs.rmSync(target, { recursive: true });
          const { result, failed } = await place.during({ below: 'target', calls, nth, errno }, put);
          const what = `call ${nth} of ${whole.calls[calls]}, ${failed || 'which was not made'}`;
          if (result instanceof Error) isInWords(t, result, what);
          else if (result.failed + result.conflicts + result.inexact === 0)
            t.strictSame(describeTree(target), tree, `${what}: what is told of is there`);
          t.match(await put(), { failed: 0, conflicts: 0 });
          t.strictSame(describeTree(target), tree, `${what}: the next one`);
        }
        fs.rmSync(target, { recursive: true });
      });
    });
});
