// Where output goes: answers to stdout, everything that is said on the way to stderr. With --json stdout carries JSON and
// nothing else. Every text is made harmless for a terminal here.

import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { printable } from '../../lib/bytes/path.js';
import { systemClock } from '../../lib/clock.js';
import { RrbackupError, toRrbackupError } from '../../lib/errors/index.js';
import type { Run } from '../../lib/progress.js';
import { isTerminal } from '../context.js';
import { toJson } from './json.js';
import { ProgressLine } from './progress.js';

export interface ReportOptions {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly debug: boolean;
}

const batch_bytes = 64 * 1024;
const answersPerTurn = 256;

/** A name with a line break in it may not begin a line of its own. */
const harmless = (line: string): string => printable(Buffer.from(line));

export class Report {
  readonly #options: ReportOptions;
  readonly #progress: ProgressLine | undefined;
  #batch = '';
  #answers = 0;

  constructor(options: ReportOptions) {
    this.#options = options;
    const { stderr, quiet, json } = options;
    if (isTerminal(stderr) && !quiet && !json) this.#progress = new ProgressLine(stderr, systemClock);
  }

  get isJson(): boolean {
    return this.#options.json;
  }

  /** What an operation of lib is called with besides its own options. */
  run(signal: AbortSignal): Run {
    const line = this.#progress;
    return {
      signal,
      // An operation that nobody watches need not find out how much there is to do.
      ...(line === undefined ? {} : { onProgress: (progress) => line.update(progress) }),
      onWarning: (message) => this.warn(message),
    };
  }

  /** An answer for people; nothing with --json. */
  async line(text: string): Promise<void> {
    if (!this.#options.json) await this.#answer(harmless(text));
  }

  /** An answer for programs; nothing without --json. */
  async json(value: unknown): Promise<void> {
    if (this.#options.json) await this.#answer(toJson(value));
  }

  /** The one line at the end that says what was done; for people who did not ask for quiet. */
  async summary(text: string): Promise<void> {
    if (!this.#options.quiet) await this.line(text);
  }

  /** For whoever writes to the terminal past this report. */
  clearProgress(): void {
    this.#progress?.clear();
  }

  /** Hands over what is left of the answers; call before the end. */
  async flush(): Promise<void> {
    this.#progress?.clear();
    const text = this.#batch;
    this.#batch = '';
    if (text !== '') await this.raw(Buffer.from(text));
  }

  /** Bytes as they are: file content. */
  async raw(bytes: Uint8Array): Promise<void> {
    const { stdout } = this.#options;
    if (!stdout.write(bytes)) await once(stdout, 'drain');
  }

  /** Something that was done on the way. */
  note(message: string): void {
    if (!this.#options.quiet) this.#say(message);
  }

  /** Something that only -v shows. */
  detail(message: string): void {
    if (this.#options.verbose) this.#say(message);
  }

  warn(message: string): void {
    this.#say(`warning: ${message}`);
  }

  /** The last words of a command that failed; returns its exit status. */
  error(thrown: unknown): number {
    const error = toRrbackupError(thrown);
    // What is not an RrbackupError was not foreseen; the message alone would not help anybody to find it.
    const guidance =
      error.guidance ??
      (thrown instanceof RrbackupError
        ? undefined
        : 'run it again with --debug to see where this comes from');
    if (this.#options.json) {
      const { code, kind, message, exitStatus } = error;
      this.#progress?.clear();
      this.#options.stderr.write(
        `${toJson({ error: { code, kind, message, ...(guidance === undefined ? {} : { guidance }), exit_status: exitStatus } })}\n`,
      );
    } else {
      this.#say(error.message);
      if (guidance !== undefined) this.#say(`  hint: ${guidance}`);
    }
    if (this.#options.debug) this.#options.stderr.write(`${stackOf(thrown)}\n`);
    return error.exitStatus;
  }

  async #answer(text: string): Promise<void> {
    // A listing never waits for anything: without a turn of the event loop now and then Ctrl-C would not be heard.
    if (++this.#answers % answersPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
    this.#batch += `${text}\n`;
    if (this.#batch.length > batch_bytes || isTerminal(this.#options.stdout)) await this.flush();
  }

  #say(text: string): void {
    this.#progress?.clear();
    const isContinued = text.startsWith(' ');
    this.#options.stderr.write(`${isContinued ? '' : 'rrbackup: '}${harmless(text)}\n`);
  }
}

function stackOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return harmless(String(thrown));
  const { name, message, stack = '', cause } = thrown;
  const frames = stack.split('\n').filter((line) => line.startsWith('    at '));
  const lines = [`${name}: ${message}`, ...frames].map(harmless);
  return [...lines, ...(cause === undefined ? [] : [`caused by: ${stackOf(cause)}`])].join('\n');
}
