// Ends the process at once, whatever its threads wait for: Node's own exit waits for a thread that is in a system call without
// an end, such as opening a fifo that a library was told to read.

import { declare } from './libc.js';

const exit = declare('void _exit(int status)');

/** Nothing is flushed, no handler is called. */
export function exitAtOnce(status: number): void {
  exit(status);
}
