// Runs schedules one after another and says, of one that fails, what is needed to see it again.

import { Finding } from './finding.js';

export interface Failure {
  readonly seed: number;
  readonly message: string;
  readonly trace: readonly string[];
}

/** The first that fails; undefined if none does. */
export async function firstFailure(
  simulate: (seed: number) => Promise<unknown>,
  seeds: Iterable<number>,
): Promise<Failure | undefined> {
  const { stackTraceLimit } = Error;
  for (const seed of seeds) {
    try {
      // Most errors of a schedule are part of it, and nobody looks at where they arose.
      Error.stackTraceLimit = 0;
      await simulate(seed).catch(() => {
        Error.stackTraceLimit = stackTraceLimit;
        return simulate(seed);
      });
    } catch (error) {
      const { stack = String(error), cause } = error as Error;
      const message = cause instanceof Error ? `${stack}\ncaused by ${cause.stack}` : stack;
      return { seed, message, trace: error instanceof Finding ? error.trace : [] };
    }
  }
  Error.stackTraceLimit = stackTraceLimit;
  return undefined;
}

export function* numbers(from: number, count: number): Generator<number> {
  for (let number = from; number < from + count; number++) yield number;
}
