// Ends a process with all that it has started. A process group would do, but would take the terminal away from programs that ask
// their own questions there.

import fs from 'node:fs';

/** For what has changed the terminal to put it right. */
const grace_ms = 300;

/** Asks each to end, and kills what is left of them a moment later. What /proc does not show is left out. */
export function endTree(pid: number): void {
  const processes = [pid];
  for (const each of processes) processes.push(...childrenOf(each));
  for (const each of processes) send(each, 'SIGTERM');
  setTimeout(() => {
    for (const each of processes) send(each, 'SIGKILL');
  }, grace_ms);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended.
  }
}

function childrenOf(pid: number): number[] {
  try {
    return fs
      .readdirSync(`/proc/${pid}/task`)
      .flatMap((task) => fs.readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '))
      .filter((child) => child !== '')
      .map(Number);
  } catch {
    return [];
  }
}
