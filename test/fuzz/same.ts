// Readers of the same bytes have to agree: on the value, or on there being none.

import { isDeepStrictEqual } from 'node:util';
import { RrbackupError } from '../../lib/errors/index.js';

export function same(found: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(found, expected)) throw new Error('two readings of the same bytes differ');
}

/** All give the same value, which is returned, or all throw an RrbackupError: then that of the first is thrown. */
export function sameEnding<T>(readers: readonly (() => T)[]): T {
  const endings = readers.map((read) => {
    try {
      return { value: read() };
    } catch (error) {
      if (error instanceof RrbackupError) return { error };
      throw error;
    }
  });
  const [first, ...others] = endings as [(typeof endings)[number], ...typeof endings];
  for (const other of others) {
    if (first.error === undefined && other.error === undefined) same(other.value, first.value);
    else if (first.error === undefined || other.error === undefined)
      throw new Error(`one reader says ${told(first)}, another ${told(other)}`);
  }
  if (first.error !== undefined) throw first.error;
  return first.value as T;
}

/** Those that give a value give the same, which is returned; where none does, the error of the first is thrown. */
export function sameValues<T>(readers: readonly (() => T)[]): T {
  const values: T[] = [];
  let failure: RrbackupError | undefined;
  for (const read of readers)
    try {
      values.push(read());
    } catch (error) {
      if (!(error instanceof RrbackupError)) throw error;
      failure ??= error;
    }
  const [first] = values;
  if (first === undefined) throw failure!;
  for (const value of values) same(value, first);
  return first;
}

const told = ({ error }: { error?: RrbackupError }): string =>
  error === undefined ? 'a value' : error.message;
