// Runs the real command, as its user would, in a home of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { commandWords, createCli } from '../../commands/cli.js';
import { runCommandLine } from '../../commands/usage.js';

/** The compiled program. */
export const command = fileURLToPath(new URL('../../commands/main.js', import.meta.url));
/** Nothing that a test runs takes this long; a hanging mount must not take the suite with it. */
const patience_ms = 120_000;

/** A process in the background that has just been told to end: Node writes its compiled code into the caches at its very end. */
const ending_ms = 5000;

/** Waits for the processes that were started with this home. */
async function untilNobodyRuns(home: string): Promise<void> {
  const runs = (id: string): boolean => {
    try {
      return id !== String(process.pid) && fs.readFileSync(`/proc/${id}/environ`).includes(`${home}/`);
    } catch {
      return false;
    }
  };
  for (let waited_ms = 0; waited_ms < ending_ms; waited_ms += 20) {
    if (!fs.readdirSync('/proc').some((id) => /^\d+$/.test(id) && runs(id))) return;
    await pause(20);
  }
}

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Home {
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Absolute path of something in the home. */
  at(...names: string[]): string;
  /** Writes the configuration file that `rr` then uses. */
  configure(text: string): void;
  rr(...args: string[]): Promise<Outcome>;
  /** The same, and it must succeed; answers its standard output. */
  ok(...args: string[]): Promise<string>;
  /** As a process of its own in any case. */
  start(...args: string[]): ChildProcess;
  /** Any other program; must exit with 0. */
  run(program: string, ...args: string[]): Promise<string>;
}

/**
 * A directory outside the project (mounts and odd names in it), removed when the test ends. Commands run as processes, or
 * `here`, in this one, where there are many: a process takes longer to start than most commands to end.
 */
export function newHome(
  t: Pick<Test, 'teardown'>,
  overrides: NodeJS.ProcessEnv = {},
  where: 'process' | 'here' = 'process',
): Home {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-e2e-'));
  const at = (...names: string[]) => path.join(directory, ...names);
  const { RRBACKUP_CONFIG, RRBACKUP_PASSWORD, AWS_CA_BUNDLE, ...inherited } = process.env;
  void [RRBACKUP_CONFIG, RRBACKUP_PASSWORD, AWS_CA_BUNDLE];
  const environment = {
    ...inherited,
    HOME: directory,
    XDG_CONFIG_HOME: at('config'),
    XDG_STATE_HOME: at('state'),
    XDG_CACHE_HOME: at('cache'),
    ...overrides,
  };
  t.teardown(async () => {
    for (const line of fs.readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
      const mountpoint = line.split(' ')[1];
      if (mountpoint?.startsWith(`${directory}/`)) await outcome(spawn('umount', ['-l', mountpoint]));
    }
    await untilNobodyRuns(directory);
    await outcome(spawn('rm', ['-rf', directory]));
  });
  const configuration = at('rrbackup.ini');
  const start = (...args: string[]) =>
    spawn(process.execPath, [command, '-c', configuration, ...args], {
      cwd: directory,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const runHere = async (...args: string[]): Promise<Outcome> => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const said = [text(stdout), text(stderr)] as const;
    const argv = ['-c', configuration, ...args];
    const status = await runCommandLine(createCli({ colors: false }), commandWords, argv, {
      env: environment,
      stdin: new PassThrough(),
      stdout,
      stderr,
      colorDepth: 1,
      cwd: directory,
      home: directory,
      signal: new AbortController().signal,
      program: [process.execPath, command],
      argv,
      parent: undefined,
    });
    stdout.end();
    stderr.end();
    return { status, stdout: await said[0], stderr: await said[1] };
  };
  const rr = where === 'here' ? runHere : (...args: string[]) => outcome(start(...args));
  const succeed = async (what: string, result: Promise<Outcome>) => {
    const { status, stdout, stderr } = await result;
    if (status !== 0) throw new Error(`${what} ended with ${status}\n${stderr}\n${stdout}`);
    return stdout;
  };
  return {
    directory,
    environment,
    at,
    configure: (text) => fs.writeFileSync(configuration, text, { mode: 0o600 }),
    rr,
    start,
    ok: (...args) => succeed(`rrbackup ${args.join(' ')}`, rr(...args)),
    run: (program, ...args) =>
      succeed(
        `${program} ${args.join(' ')}`,
        outcome(
          spawn(program, args, { cwd: directory, env: environment, stdio: ['ignore', 'pipe', 'pipe'] }),
        ),
      ),
  };
}

export function outcome(child: ChildProcess): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
    const timer = setTimeout(() => child.kill('SIGKILL'), patience_ms);
    child.on('error', reject);
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    });
  });
}

/** What rsync says differs between two trees, attributes, hard links and holes included: nothing, if all is right. */
export function difference(home: Home, from: string, to: string): Promise<string> {
  return home.run('rsync', '-aHAXSnc', '--delete', '--itemize-changes', `${from}/`, `${to}/`);
}
