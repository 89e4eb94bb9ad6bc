// What every command is given: the world as main found it. Commands read nothing from the process themselves.

import type { BaseContext } from 'clipanion';
import type { Unlocker } from '../lib/keys/index.js';
import type { BackgroundChild, ParentProcess } from './background.js';

export type CommandContext = BaseContext & {
  /** Absolute. */
  readonly cwd: string;
  /** Absolute. */
  readonly home: string;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** How this program is run once more: the interpreter, its options, the script. */
  readonly program: readonly string[];
  /** The arguments after that. */
  readonly argv: readonly string[];
  /** The process that started this one to go on in the background. */
  readonly parent: ParentProcess | undefined;
  /** The thread for a password's work, started ahead; whoever opens a repository hands it on. */
  readonly unlocker?: Unlocker | undefined;
  /** The process that was started ahead to go on in the background; whoever takes it has it begin or kills it. */
  takeChild?(): BackgroundChild | undefined;
};

/** True for a stream that ends on a terminal. */
export function isTerminal(stream: object): boolean {
  return 'isTTY' in stream && stream.isTTY === true;
}
