// The only reader of the wall clock and of the monotonic clock, and where waiting is done by them; tests put their own in its place.

import { setTimeout as timer } from 'node:timers/promises';
import { interrupted } from './errors/index.js';

export interface Clock {
  /** Wall clock, nanoseconds since 1970 UTC. For people to read; no safety decision rests on it. */
  now_ns(): bigint;
  /** Monotonic, milliseconds from an arbitrary start. */
  monotonic_ms(): number;
  /** For tests whose time does not pass by itself. */
  pause?(duration_ms: number): Promise<void>;
}

export const systemClock: Clock = {
  now_ns: () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n,
  monotonic_ms: () => performance.now(),
};

/** Waits so long; throws 'interrupted' when the signal aborts. */
export async function pause(clock: Clock, duration_ms: number, signal?: AbortSignal): Promise<void> {
  if (clock.pause !== undefined) return clock.pause(duration_ms);
  try {
    await timer(duration_ms, undefined, signal === undefined ? {} : { signal });
  } catch {
    throw interrupted();
  }
}
