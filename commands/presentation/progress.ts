// One line on a terminal that says how far a long operation is. A line of our own and not a library's: cli-progress wants a
// known total for its bar, and leaves the terminal without line wrapping where the process ends before it is stopped.

import type { Clock } from '../../lib/clock.js';
import type { Progress } from '../../lib/progress.js';
import { formatBytes, formatCount, formatDuration } from './units.js';

/** What is needed of a terminal. */
export interface Terminal {
  readonly columns?: number;
  write(text: string): unknown;
}

const phases: Readonly<Record<Progress['phase'], string>> = {
  connect: 'connecting',
  catalog: 'reading the history',
  scan: 'scanning',
  read: 'backing up',
  upload: 'uploading',
  commit: 'committing',
  restore: 'restoring',
  verify: 'verifying',
  recover: 'recovering',
};

const redraw_ms = 100;
const window_ms = 10_000;
const clearLine = '\r\x1b[K';

interface Sample {
  readonly at_ms: number;
  readonly bytes: number;
}

export class ProgressLine {
  readonly #terminal: Terminal;
  readonly #clock: Clock;
  #samples: Sample[] = [];
  #phase: Progress['phase'] | undefined;
  #drawn_ms = -Infinity;
  #isShown = false;

  constructor(terminal: Terminal, clock: Clock) {
    this.#terminal = terminal;
    this.#clock = clock;
  }

  /** Draws at most ten times a second. */
  update(progress: Progress): void {
    const now_ms = this.#clock.monotonic_ms();
    if (now_ms - this.#drawn_ms < redraw_ms) return;
    this.#drawn_ms = now_ms;
    if (progress.phase !== this.#phase) {
      this.#phase = progress.phase;
      this.#samples = [];
    }
    this.#samples.push({ at_ms: now_ms, bytes: progress.bytes_done });
    while (this.#samples.length > 2 && now_ms - this.#samples[0]!.at_ms > window_ms) this.#samples.shift();
    this.#terminal.write(clearLine + this.#format(progress));
    this.#isShown = true;
  }

  /** Takes the line away, for other output or because the operation is over. */
  clear(): void {
    if (!this.#isShown) return;
    this.#terminal.write(clearLine);
    this.#isShown = false;
    this.#drawn_ms = -Infinity;
  }

  #format(progress: Progress): string {
    const { files_done, files_total, bytes_done, bytes_total, current } = progress;
    const parts = [phases[progress.phase]];
    if (files_done > 0 || files_total !== undefined) {
      const total = files_total === undefined ? '' : ` of ${formatCount(files_total)}`;
      const isOne = (files_total ?? files_done) === 1;
      parts.push(`${formatCount(files_done)}${total} ${isOne ? 'file' : 'files'}`);
    }
    if (bytes_done > 0 || bytes_total)
      parts.push(
        formatBytes(bytes_done) + (bytes_total === undefined ? '' : ` of ${formatBytes(bytes_total)}`),
      );
    const rate = this.#bytesPerSecond();
    if (rate > 0) {
      parts.push(`${formatBytes(Math.round(rate))}/s`);
      if (bytes_total !== undefined && bytes_total > bytes_done)
        parts.push(`${formatDuration(Math.max(1000, ((bytes_total - bytes_done) / rate) * 1000))} left`);
    }
    // Some terminals do not know their width and say 0.
    const width = (this.#terminal.columns || 80) - 1;
    const text = parts.join('  ');
    const room = width - text.length - 2;
    if (current === undefined || room < 8) return text.slice(0, width);
    const characters = [...current];
    return `${text}  ${characters.length <= room ? current : `…${characters.slice(1 - room).join('')}`}`;
  }

  #bytesPerSecond(): number {
    const first = this.#samples[0]!;
    const last = this.#samples.at(-1)!;
    const elapsed_ms = last.at_ms - first.at_ms;
    return elapsed_ms < 500 ? 0 : ((last.bytes - first.bytes) / elapsed_ms) * 1000;
  }
}
