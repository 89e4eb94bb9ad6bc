// What scripts/soak-crash runs: rounds of a backup that is ended by force, of every kind that this machine can have, in turn,
// until so many of each are done, or a signal comes. Says what happens in each; ends with counts, and with 1 if anything was wrong.

import { Disk, bucketRounds, directoryRounds, diskRounds, gatewayRestart, powerCut } from './places.js';
import { type End, kill, type Round, type Rounds } from './rounds.js';
import { givenServer } from '../s3-server.js';

const count = Number(process.argv[2]);
const large = { large_bytes: 40_000_000 };
const small = { large_bytes: 4_000_000 };

const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};
const teardowns: (() => unknown)[] = [];
const scope = {
  teardown: (action: () => unknown): void => {
    teardowns.push(action);
  },
  comment: say,
};

interface Kind {
  readonly name: string;
  readonly rounds: Rounds;
  readonly end: End;
}

async function kinds(): Promise<Kind[]> {
  const found: Kind[] = [
    { name: 'kill -9, directory', rounds: directoryRounds(scope, large), end: kill },
    { name: 'kill -9, directory, small', rounds: directoryRounds(scope, small), end: kill },
  ];
  const disk = await Disk.make(scope, 2 ** 36);
  if (disk !== undefined)
    found.push({ name: 'power cut', rounds: diskRounds(scope, disk, large), end: powerCut(disk) });
  const server = givenServer();
  const state = process.env['RRBACKUP_S3_STATE'];
  if (server !== undefined)
    found.push({ name: 'kill -9, bucket', rounds: await bucketRounds(scope, server, large), end: kill });
  if (server !== undefined && state !== undefined) {
    const rounds = await bucketRounds(scope, server, large);
    found.push({ name: 'gateway killed', rounds, end: gatewayRestart(state, server.endpoint) });
  }
  return found;
}

let isStopped = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (isStopped = true));

let wrong = 0;
const counts: Record<string, Record<Round['how'], number>> = {};
const complain = (name: string, complaints: readonly string[]): void => {
  for (const complaint of complaints) say(`WRONG     ${name}: ${complaint}`);
  wrong += complaints.length;
};

try {
  const all = await kinds();
  for (const { name, rounds } of all) {
    counts[name] = { ended: 0, late: 0, done: 0 };
    await rounds.begin();
  }
  for (let number = 1; number <= count && !isStopped; number++) {
    for (const { name, rounds, end } of all) {
      if (isStopped) break;
      const round = await rounds.one(end);
      counts[name]![round.how]++;
      say(`${number}/${count}  ${name}: ${round.sentence}`);
      complain(`${name}, round ${number}`, round.wrong);
    }
  }
  for (const { name, rounds } of all) complain(name, await rounds.end());
} catch (error) {
  // A signal may have come to the S3 server, too.
  if (isStopped) say(`stopped: ${String(error)}`);
  else complain('soak', [String(error)]);
}
for (const action of teardowns.reverse()) await action();
for (const [name, { ended, late, done }] of Object.entries(counts))
  say(`${name}: ${ended} ended before their version stood, ${late} after, ${done} came to their end`);
say(`${wrong} wrong`);
process.exitCode = wrong === 0 ? 0 : 1;
