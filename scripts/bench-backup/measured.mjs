// Runs one command and takes its figures: wall and CPU seconds of all its processes, and their peak memory by kind. Everything
// is written to disk before, so that nobody pays for what another left to be written.

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const sampling_ms = 25;
/** Ten million files take long. */
const limit_ms = 3 * 3600_000;

// bash alone knows the CPU seconds of what it waited for, to the millisecond; what the command says goes on to our stderr.
const timing = 'exec 3>"$0" 4>&2; TIMEFORMAT="%3R %3U %3S"; { time "$@" 2>&4 3>&- 4>&-; } 2>&3';

function read(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // It ended meanwhile.
  }
}

function tasks(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function descendants(pid) {
  const children = tasks(pid).flatMap((task) =>
    read(`/proc/${pid}/task/${task}/children`).split(' ').filter(Boolean),
  );
  return children.flatMap((child) => [child, ...descendants(child)]);
}

/** Of all processes below `pid`, in kB. `anonymous`: only swap could take it away; `mapped`: the kernel may drop it. */
function memoryBelow(pid) {
  const sum = { anonymous: 0, mapped: 0 };
  for (const below of descendants(pid)) {
    for (const [, kind, kB] of read(`/proc/${below}/status`).matchAll(/^Rss(Anon|File|Shmem):\s*(\d+)/gm))
      sum[kind === 'File' ? 'mapped' : 'anonymous'] += Number(kB);
  }
  return sum;
}

/** `command`: { command, args, env, cwd }; `directory`: for a file of ours meanwhile. Seconds and MB. */
export async function measured(session, { command, args, env, cwd }, directory) {
  await session.run('sync', []);
  const peak_kB = { anonymous: 0, mapped: 0 };
  const figures = join(directory, 'figures');
  let timer;
  try {
    await session.run('bash', ['-c', timing, figures, command, ...args], {
      env,
      cwd,
      limit_ms,
      onStart: (pid) => {
        timer = setInterval(() => {
          for (const [kind, kB] of Object.entries(memoryBelow(pid)))
            peak_kB[kind] = Math.max(peak_kB[kind], kB);
        }, sampling_ms);
      },
    });
    const [elapsed, user, system] = readFileSync(figures, 'utf8').trim().split(' ').map(Number);
    return {
      elapsed,
      cpu: user + system,
      anonymous: (peak_kB.anonymous * 1024) / 1e6,
      mapped: (peak_kB.mapped * 1024) / 1e6,
    };
  } finally {
    clearInterval(timer);
    rmSync(figures, { force: true });
  }
}
