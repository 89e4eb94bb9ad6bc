// kill -9 of the real command at random moments and a power cut of the disk that everything is on, against a directory and a
// real S3 server: a few rounds of what scripts/soak-crash does by the hundred.

import t, { type Test } from 'tap';
import { s3Server } from '../s3-server.js';
import { runs } from '../runs.js';
import { bucketRounds, Disk, directoryRounds, diskRounds, powerCut } from './places.js';
import { type End, kill, type Rounds } from './rounds.js';

const size = { large_bytes: 4_000_000 };

async function play(t: Test, rounds: Rounds, count: number, endOf: (number: number) => End): Promise<void> {
  await rounds.begin();
  let ended = 0;
  for (let number = 1; number <= count; number++) {
    const round = await rounds.one(endOf(number));
    if (round.how === 'ended') ended++;
    t.strictSame(round.wrong, [], `${number}: ${round.sentence}`);
  }
  t.strictSame(await rounds.end(), []);
  // A few may all have come to their end by chance.
  t.ok(ended > 0 || count < 10, `${ended} of ${count} were ended before their version stood`);
}

void t.test('kill -9 and a power cut, a directory', async (t) => {
  const disk = await Disk.make(t, 1 << 30);
  const rounds = disk === undefined ? directoryRounds(t, size) : diskRounds(t, disk, size);
  await play(t, rounds, runs(3).numRuns, (number) =>
    disk === undefined || number % 3 !== 0 ? kill : powerCut(disk),
  );
});

void t.test('kill -9, a bucket', async (t) => {
  const server = await s3Server(t);
  if (server === undefined) return;
  await play(t, await bucketRounds(t, server, size), runs(1).numRuns, () => kill);
});
