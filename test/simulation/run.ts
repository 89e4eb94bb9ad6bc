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
  for (const seed of seeds) {
    try {
      await simulate(seed);
    } catch (error) {
      const { stack = String(error), cause } = error as Error;
      const message = cause instanceof Error ? `${stack}\ncaused by ${cause.stack}` : stack;
      return { seed, message, trace: error instanceof Finding ? error.trace : [] };
    }
  }
  return undefined;
}

export function* numbers(from: number, count: number): Generator<number> {
  for (let number = from; number < from + count; number++) yield number;
}
