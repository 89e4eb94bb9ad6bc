// What scripts/drill runs: the drill with so many files, each command as it is typed with its seconds and what it prints.

import fs from 'node:fs';
import { s3Server } from '../s3-server.js';
import { difference, type Home } from './cli.js';
import { type Attack, Drill, type Timed, versions } from './drill.js';

const files = Number(process.argv[2]);
const teardowns: (() => unknown)[] = [];
const scope = { teardown: (action: () => unknown): void => void teardowns.push(action) };
const say = (text: string): void => void process.stdout.write(`${text}\n`);
let wrong = 0;
const complain = (text: string): void => {
  say(`WRONG     ${text}`);
  wrong++;
};

/** The first lines, which are all unless something is listed. */
function tell({ command, seconds, status, stdout, stderr }: Timed, home: Home): void {
  say(`  $ ${command.replaceAll(home.directory, '~')}`);
  const lines = `${stderr}${stdout}`.replaceAll(home.directory, '~').trimEnd().split('\n');
  for (const line of lines.slice(0, 8)) say(`    ${line}`);
  say(`    -> status ${status}, ${seconds.toFixed(1)} s`);
}

async function type(drill: Drill, home: Home, expected: number, ...args: string[]): Promise<Timed> {
  const typed = await drill.type(home, ...args);
  tell(typed, home);
  if (typed.status !== expected) complain(`${typed.command} ended with ${typed.status}`);
  return typed;
}

/** Everything that only looks. */
async function read(drill: Drill, home: Home): Promise<void> {
  await type(drill, home, 0, 'versions');
  const { typed, differences } = await drill.downloads(home);
  for (const one of typed) tell(one, home);
  for (const text of differences) complain(text);
  const statuses = typed.filter(({ status }) => status !== 0);
  for (const { command } of statuses) complain(command);
  const seconds = typed.reduce((sum, one) => sum + one.seconds, 0);
  say(
    `  ${versions.length} versions of ${files} files are back as they were: 0 commands before, ${seconds.toFixed(1)} s`,
  );
  const mountpoint = home.at('mnt');
  fs.mkdirSync(mountpoint);
  await type(drill, home, 0, 'mount', mountpoint);
  const newest = `${mountpoint}/source/current`;
  const found = await difference(home, drill.home.at(`copy ${versions.length}`), fs.realpathSync(newest));
  if (found !== '') complain(`the mount: ${found.slice(0, 500)}`);
  await type(drill, home, 0, 'umount', mountpoint);
}

async function afterwards(drill: Drill, how: Attack): Promise<void> {
  const began_ms = performance.now();
  const count = await drill.attack(how);
  say(`${count} objects ${how} in ${((performance.now() - began_ms) / 1000).toFixed(1)} s`);
  say('on a new machine:');
  const fresh = drill.newMachine();
  await read(drill, fresh);
  await type(drill, fresh, 13, 'check');
  say('on the machine that made the backups:');
  await read(drill, drill.home);
  fs.rmSync(drill.home.at('mnt'), { recursive: true });
  await type(drill, drill.home, 0, 'backup');
  await type(drill, drill.home, 13, 'check');
  say('to have no warnings any more:');
  await type(drill, drill.home, 0, 'recover');
  await type(drill, drill.home, 0, 'check', '--read-data');
}

try {
  const server = await s3Server({ ...scope, comment: say });
  const state = server?.state;
  if (server === undefined || state === undefined)
    throw new Error('a Ceph of its own is needed: as root, with its packages');
  const began_ms = performance.now();
  const drill = await Drill.prepare(scope, { server: { ...server, state }, files, where: 'process' });
  say(
    `${files} files, ${versions.length} versions, made in ${((performance.now() - began_ms) / 1000).toFixed(0)} s`,
  );
  for (const how of ['deleted', 'overwritten'] as const) await afterwards(drill, how);
} catch (error) {
  complain(String(error));
}
for (const action of teardowns.reverse()) await action();
say(`${wrong} wrong`);
process.exitCode = wrong === 0 ? 0 : 1;
