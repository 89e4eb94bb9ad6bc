// One run of the benchmark: the processes that it starts and what must be put away at its end, however that comes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** No single command takes longer on any machine worth measuring on, unless its caller knows better. */
const usualLimit_ms = 30 * 60_000;

export class Session {
  /** { undo, done }: `done` is the promise of its being undone, once that has begun. */
  #cleanups = new Set();
  #running = new Set();
  #ending;
  isInterrupted = false;

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
      process.on(signal, () => {
        process.stderr.write(`\n${signal}: putting everything away\n`);
        this.isInterrupted = true;
        void this.end().finally(() => process.exit(130));
      });
  }

  /** `undo` runs once: at the end, the last one first, or when the function given back is called. */
  defer(undo) {
    const cleanup = { undo, done: undefined };
    this.#cleanups.add(cleanup);
    return () => this.#undo(cleanup);
  }

  async #undo(cleanup) {
    cleanup.done ??= cleanup.undo();
    try {
      await cleanup.done;
    } finally {
      this.#cleanups.delete(cleanup);
    }
  }

  /** Ends what runs and undoes what was deferred; safe to call again. */
  end() {
    return (this.#ending ??= this.#end());
  }

  async #end() {
    // Readers that hang on a mount end once its server has gone, which is among the cleanups.
    for (const child of this.#running) killGroup(child, 'SIGTERM');
    for (let times = 0; times < 100 && this.#running.size > 0; times++) await sleep(20);
    for (const child of this.#running) killGroup(child, 'SIGKILL');
    for (const cleanup of [...this.#cleanups].reverse()) {
      try {
        await this.#undo(cleanup);
      } catch (error) {
        process.stderr.write(`bench: ${error.message}\n`);
      }
    }
  }

  /** A process of its own group, so that Ctrl-C reaches this program alone. */
  start(command, args, { env = {}, stdio, cwd } = {}) {
    if (this.#ending !== undefined) throw new Error('the benchmark is ending');
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio, cwd, detached: true });
    this.#running.add(child);
    child.on('exit', () => this.#running.delete(child));
    child.on('error', () => this.#running.delete(child));
    return child;
  }

  /** A server that goes on while others work: not killed before what is deferred, which ends it in an orderly way. */
  startServer(command, args, options) {
    const child = this.start(command, args, options);
    this.#running.delete(child);
    return child;
  }

  /**
   * Runs a command to its end; gives wall seconds and what it wrote. Rejects unless its status is among `statuses`.
   * `output`: a file for its stdout, which is kept in memory otherwise. `onStart` is told the process's id.
   */
  async run(command, args, { env, cwd, statuses = [0], output, onStart, limit_ms = usualLimit_ms } = {}) {
    const to = output === undefined ? 'pipe' : openSync(output, 'w');
    const began_ms = performance.now();
    const child = this.start(command, args, { env, cwd, stdio: ['ignore', to, 'pipe'] });
    if (output !== undefined) closeSync(to);
    if (child.pid !== undefined) onStart?.(child.pid);
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'])
      child[name]?.setEncoding('utf8').on('data', (text) => {
        texts[name] = (texts[name] + text).slice(-1024 * 1024);
      });
    let ended_ms;
    child.on('exit', () => (ended_ms = performance.now()));
    const timer = setTimeout(() => killGroup(child, 'SIGKILL'), limit_ms);
    try {
      const [status, killedBy] = await once(child, 'close');
      if (!statuses.includes(status))
        throw new Error(
          `${command} ended with ${killedBy ?? `status ${status}`}: ${(texts.stderr || texts.stdout).trim().split('\n').at(-1)?.slice(0, 300)}`,
        );
    } finally {
      clearTimeout(timer);
    }
    return { elapsed_s: (ended_ms - began_ms) / 1000, stdout: texts.stdout };
  }
}

/** With all that it started itself. */
function killGroup({ pid }, signal) {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // It ended by itself meanwhile.
  }
}

/** Every page, dentry and inode that the kernel keeps goes; what is still to be written is written first. */
export async function dropKernelCaches(session) {
  await session.run('sync', []);
  writeFileSync('/proc/sys/vm/drop_caches', '3');
}

/** Tells a process from a later one with the same id. */
export function processStart(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')[19];
  } catch {
    return undefined;
  }
}

export async function waitForExit(pid, start, wait_ms) {
  const until_ms = performance.now() + wait_ms;
  while (processStart(pid) === start && isAlive(pid)) {
    if (performance.now() > until_ms) return false;
    await sleep(10);
  }
  return true;
}

function isAlive(pid) {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
