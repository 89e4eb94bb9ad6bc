// Repositories of every released format: each version comes out as it went in, from the manifest, from the checkpoint alone,
// and from the packs alone. Their files are copied first: a reader changes nothing, and this proves it.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { type Repository, openRepository, recover, restore } from '../../lib/index.js';
import { describeTree, isRoot, scratchDirectory } from '../trees.js';
import { type GoldenExpectation, goldenConfiguration, goldenDirectory } from './golden.js';

const names = fs
  .readdirSync(goldenDirectory, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

t.ok(names.length >= 2, 'there are golden repositories');

const skip = isRoot ? false : 'owners and devices come back as root only';

for (const name of names) {
  const encryption = name.endsWith('-none') ? 'none' : 'password';
  const golden = path.join(goldenDirectory, name);
  const expected = JSON.parse(
    fs.readFileSync(path.join(golden, 'expected.json'), 'utf8'),
  ) as GoldenExpectation;

  /** Runs `work` on a copy of the golden repository. */
  const onCopy = async (
    work: string,
    options: { sync?: boolean; prepare?(repository: string): void },
    use: (repository: Repository, stream: string) => Promise<void>,
  ) => {
    const copy = path.join(work, 'repository');
    execFileSync('cp', ['-a', path.join(golden, 'repository'), copy]);
    options.prepare?.(copy);
    const configuration = goldenConfiguration({ repository: copy, work, encryption });
    const repository = await openRepository(configuration, {
      access: 'read',
      sync: options.sync ?? true,
      note: () => undefined,
    });
    try {
      await use(repository, repository.streamId('golden'));
    } finally {
      await repository.close();
    }
  };

  const restored = async (repository: Repository, stream: string, sequence: number, target: string) => {
    await restore(repository, { stream, sequence, target });
    return describeTree(target);
  };

  void t.test(`${name}: every version`, { skip }, async (t) => {
    const work = scratchDirectory(t);
    await onCopy(work, {}, async (repository, stream) => {
      for (const { sequence, tree } of expected.versions) {
        t.strictSame(await restored(repository, stream, sequence, path.join(work, `out-${sequence}`)), tree);
      }
    });
    t.equal(
      execFileSync('diff', ['-r', path.join(golden, 'repository'), path.join(work, 'repository')]).toString(),
      '',
      'reading changed nothing',
    );
  });

  void t.test(`${name}: from the packs alone`, { skip }, async (t) => {
    const work = scratchDirectory(t);
    const prepare = (repository: string) => fs.rmSync(path.join(repository, 'streams'), { recursive: true });
    await onCopy(work, { sync: false, prepare }, async (repository, stream) => {
      const result = await recover(repository);
      t.strictSame(
        result.streams.map(({ rebuilt }) => rebuilt),
        [expected.versions.map(({ sequence }) => sequence)],
      );
      for (const { sequence, tree } of expected.versions) {
        t.strictSame(await restored(repository, stream, sequence, path.join(work, `out-${sequence}`)), tree);
      }
    });
  });

  void t.test(`${name}: from the checkpoint, without any commit`, { skip }, async (t) => {
    const work = scratchDirectory(t);
    const prepare = (repository: string) => {
      const streams = path.join(repository, 'streams');
      for (const id of fs.readdirSync(streams))
        fs.rmSync(path.join(streams, id, 'commits'), { recursive: true });
    };
    await onCopy(work, { prepare }, async (repository, stream) => {
      const { sequence, tree } = expected.versions.at(-1)!;
      t.strictSame(await restored(repository, stream, sequence, path.join(work, 'out')), tree);
    });
  });
}
