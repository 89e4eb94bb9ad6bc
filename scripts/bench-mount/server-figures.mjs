// What the kernel says of a mount's server: its memory, and what it has read.

import { readFileSync } from 'node:fs';

function field(text, name) {
  const found = new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text);
  return found === null ? 0 : Number(found[1]);
}

/** MB. `anonymous` is what only swap could take away; `mapped` are files, which the kernel drops when it needs the room. */
export function memory(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const resident = (field(text, 'Rss') * 1024) / 1e6;
  const anonymous = ((field(text, 'Anonymous') + field(text, 'Pss_Shmem')) * 1024) / 1e6;
  return { resident, anonymous, mapped: resident - anonymous };
}

/** Calls `work` and gives the highest figures that were seen meanwhile. */
export async function peakMemory(pid, work) {
  const peak = memory(pid);
  const timer = setInterval(() => {
    try {
      for (const [name, value] of Object.entries(memory(pid))) peak[name] = Math.max(peak[name], value);
    } catch {
      clearInterval(timer); // It ended; what it was asked for fails by itself.
    }
  }, 100);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return peak;
}

/** Bytes that its read calls gave it so far, from files, sockets and /dev/fuse. */
export function read_bytes(pid) {
  return field(readFileSync(`/proc/${pid}/io`, 'latin1'), 'rchar');
}
