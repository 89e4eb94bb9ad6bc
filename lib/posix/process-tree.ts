// Ends a process with all that it has started. A process group would do, but would take the terminal away from programs that ask
// their own questions there.

import fs from 'node:fs';

/** For what has changed the terminal to put it right. */
const grace_ms = 300;

/** Asks each to end, and kills what is left of them a moment later. What /proc does not show is left out. */
export function endTree(pid: number): void {
  const processes = withDescendants([pid]);
  for (const each of processes) send(each, 'SIGTERM');
  setTimeout(() => {
    // Those that do not listen may have started more.
    for (const each of withDescendants(processes)) send(each, 'SIGKILL');
  }, grace_ms);
}

function withDescendants(processes: Iterable<number>): Set<number> {
  const all = new Set(processes);
  // A set shows what is added while it is gone through.
  for (const each of all) for (const child of childrenOf(each)) all.add(child);
  return all;
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
