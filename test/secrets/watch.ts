// Looks for secrets where they must not be: in what was written, and, while a command runs, in the arguments and the environment
// of every process but the one that was given them.

import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const look_ms = 5;

/** A secret in the forms in which it may have got somewhere. */
export function formsOf(secrets: readonly (string | Buffer)[]): Buffer[] {
  return secrets.flatMap((secret) => {
    const bytes = Buffer.from(secret as Buffer);
    const isText = typeof secret === 'string';
    const texts = [bytes.toString('base64').replace(/=*$/, '').slice(0, -1), bytes.toString('hex')];
    const asText = isText ? [encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)] : [];
    return [
      bytes,
      Buffer.from(bytes.toString('latin1'), 'utf16le'),
      ...[...texts, ...asText].map((text) => Buffer.from(text)),
    ];
  });
}

/** Files below a directory that hold one of them; `except`: paths that may. Sockets and links are passed over. */
export function filesWith(forms: readonly Buffer[], directory: string, except: readonly string[]): string[] {
  return everythingIn(directory)
    .filter((file) => fs.lstatSync(file).isFile() && !except.includes(file))
    .filter((file) => {
      const bytes = fs.readFileSync(file);
      return forms.some((form) => bytes.includes(form));
    });
}

export function everythingIn(directory: string): string[] {
  return fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .map((entry) => path.join(entry.parentPath, entry.name));
}

/** Until `stop`: 'PID cmdline' or 'PID environ' of processes begun since, with what they show. */
export class ProcessWatch {
  readonly found = new Set<string>();
  /** Processes that were looked at: none would mean that nothing was watched. */
  readonly seen = new Set<number>();
  readonly #forms: readonly Buffer[];
  readonly #before: ReadonlySet<string>;
  #isOver = false;
  readonly #ended: Promise<void>;

  constructor(forms: readonly Buffer[]) {
    this.#forms = forms;
    this.#before = new Set(pids());
    this.#ended = this.#watch();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#ended;
  }

  async #watch(): Promise<void> {
    while (!this.#isOver) {
      for (const pid of pids()) if (!this.#before.has(pid)) this.#look(pid);
      await pause(look_ms);
    }
  }

  #look(pid: string): void {
    const commandLine = contentOf(pid, 'cmdline');
    // Of the user's own making: the process that was started with a secret in its environment, and, until it begins its own
    // program, what it starts.
    const isGiven = !commandLine.includes('--in-background') && commandLine.includes('commands/main.js');
    if (commandLine.length > 0) this.seen.add(Number(pid));
    for (const [what, bytes] of [
      ['cmdline', commandLine],
      ['environ', isGiven ? Buffer.alloc(0) : contentOf(pid, 'environ')],
    ] as const)
      if (this.#forms.some((form) => bytes.includes(form)))
        this.found.add(`${what} of ${commandLine.toString().replaceAll('\0', ' ')}`);
  }
}

const pids = (): string[] => fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));

function contentOf(pid: string, name: string): Buffer {
  try {
    return fs.readFileSync(`/proc/${pid}/${name}`);
  } catch {
    return Buffer.alloc(0);
  }
}
