// kill -9 of the real command at random moments, against a directory and a real S3 server, and a power cut of the disk that
// everything is on: a few rounds of what scripts/soak-crash does by the hundred.

import t, { type Test } from 'tap';
import { s3Server } from '../s3-server.js';
import { runs } from '../runs.js';
import { bucketRounds, Disk, directoryRounds, diskRounds, powerCut } from './places.js';
import { type End, kill, type Rounds } from './rounds.js';

const size = { large_bytes: 4_000_000 };

async function play(t: Test, rounds: Rounds, count: number, end: End): Promise<void> {
  await rounds.begin();
  let ended = 0;
  for (let number = 1; number <= count; number++) {
    const round = await rounds.one(end);
    if (round.how === 'ended') ended++;
    t.strictSame(round.wrong, [], `${number}: ${round.sentence}`);
  }
  t.strictSame(await rounds.end(), []);
  t.ok(ended > 0, `${ended} of ${count} were ended before their version stood`);
}

void t.test('kill -9, a directory', async (t) => {
  await play(t, directoryRounds(t, size), runs(20).numRuns, kill);
});

void t.test('kill -9, a bucket', async (t) => {
  const server = await s3Server(t);
  if (server === undefined) return;
  await play(t, await bucketRounds(t, server, size), runs(4).numRuns, kill);
});

void t.test('a power cut', async (t) => {
  const disk = await Disk.make(t, 1 << 30);
  if (disk === undefined) return;
  await play(t, diskRounds(t, disk, size), runs(2).numRuns, powerCut(disk));
});
