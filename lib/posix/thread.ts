// Waking a thread of this process that is blocked in a system call: its call ends with EINTR. Linux only. For worker threads in
// blocking loops, which no message reaches.

import { constants } from 'node:os';
import { check, declare } from './libc.js';

const gettid = declare('int gettid()');
const tgkill = declare('int tgkill(int process, int thread, int signal)');
const siginterrupt = declare('int siginterrupt(int signal, int flag)');

/** Nothing else here uses it, and where nobody handles it it does nothing. */
const wakeSignal = 'SIGURG';

let isPrepared = false;

/** Of the calling thread, for `wakeThread`. */
export function threadNumber(): number {
  return Number(gettid());
}

/** Call in the main thread, once before the first `wakeThread`. */
export function prepareWaking(): void {
  if (isPrepared) return;
  process.on(wakeSignal, () => undefined);
  // Node asks the kernel to begin such calls anew by itself.
  check(siginterrupt(constants.signals[wakeSignal], 1), 'siginterrupt');
  isPrepared = true;
}

/**
 * A call that the thread begins just after this is not interrupted: repeat until the thread says that it is awake. A thread
 * that is gone is fine.
 */
export function wakeThread(thread: number): void {
  tgkill(process.pid, thread, constants.signals[wakeSignal]);
}
