// What every command is given: the world as main found it. Commands read nothing from the process themselves.

import type { BaseContext } from 'clipanion';

export type CommandContext = BaseContext & {
  /** Absolute. */
  readonly cwd: string;
  /** Absolute. */
  readonly home: string;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
};

/** True for a stream that ends on a terminal. */
export function isTerminal(stream: object): boolean {
  return 'isTTY' in stream && stream.isTTY === true;
}
