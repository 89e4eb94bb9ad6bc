// Whole repositories under random schedules: backups, crashes, restores, lost memories, old images, recoveries, jumping clocks.

import t from 'tap';
import { runs } from '../runs.js';
import { nothingFound } from './apart.js';
import { simulateRepository } from './repository.js';
import { firstFailure } from './run.js';
import { repositorySeeds } from './seeds.js';
import { runBackupsHere } from './threads-here.js';

runBackupsHere();

void t.test('the same seed is the same story', async (t) => {
  const { versions, story } = await simulateRepository(5);
  const again = await simulateRepository(5);
  t.strictSame([again.versions, again.story], [versions, story]);
});

void t.test('machines and a store at its worst', async (t) => {
  t.equal(await firstFailure(simulateRepository, repositorySeeds), undefined, 'seeds that once failed');
  await nothingFound(t, 'repository', 1000, runs(25).numRuns);
});
