// What the contract's tests ask a store with.

import type { Test } from 'tap';
import { RrbackupError } from '../../lib/errors/index.js';
import type { StoredObject } from '../../lib/store/types.js';

export const text = (value: string): Buffer => Buffer.from(value);

export async function collect(objects: AsyncIterable<StoredObject>): Promise<StoredObject[]> {
  const all: StoredObject[] = [];
  for await (const object of objects) all.push(object);
  return all;
}

export async function keysOf(objects: AsyncIterable<StoredObject>): Promise<string[]> {
  return (await collect(objects)).map((object) => object.key);
}

/** Rejects with an RrbackupError of that code and nothing else. */
export async function rejectsWith(
  t: Test,
  code: string,
  action: Promise<unknown>,
  name: string,
): Promise<void> {
  const error = await action.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  t.ok(error instanceof RrbackupError, `${name}: rejects with an RrbackupError`);
  if (error instanceof RrbackupError) t.equal(error.code, code, name);
}
