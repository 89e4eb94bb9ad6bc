// Finds out whether a store's conditional create can be trusted: some S3 servers ignore If-None-Match, some check it without
// holding off a second writer. Asked once per repository, at init.

import { RrbackupError } from '../errors/index.js';
import type { Call, StoredObject } from './types.js';

interface Scratch {
  create(key: string, bytes: Uint8Array, call: Call): Promise<unknown>;
  list(prefix: string, call: Call): AsyncIterable<StoredObject>;
  remove(key: string, versionId: string, call: Call): Promise<void>;
}

const rounds = 3;
const racers = 8;
/** What was written and more, as where a lost answer had it written twice. */
const mostRemoved = 10 * rounds * racers;

async function wins(store: Scratch, key: string, text: string, call: Call): Promise<boolean> {
  try {
    await store.create(key, Buffer.from(text), call);
    return true;
  } catch (error) {
    if (error instanceof RrbackupError && error.code === 'store.exists') return false;
    throw error;
  }
}

/** True if, in sequence and in races, exactly one of several creates of one key ever won. Removes what it wrote. */
export async function probe(store: Scratch, call: Call = {}): Promise<boolean> {
  const scratch = `probe-${Math.random().toString(36).slice(2)}`;
  const keys = [...Array(rounds).keys()].map((round) => `${scratch}-${round}`);
  try {
    const inSequence = `${scratch}-sequence`;
    keys.push(inSequence);
    if (!(await wins(store, inSequence, 'first', call))) return false;
    if (await wins(store, inSequence, 'second', call)) return false;
    for (const key of keys.slice(0, rounds)) {
      const results = await Promise.allSettled(
        [...Array(racers).keys()].map((racer) => wins(store, key, `racer ${racer}`, call)),
      );
      for (const result of results) if (result.status === 'rejected') throw result.reason;
      if (results.filter((result) => result.status === 'fulfilled' && result.value).length !== 1)
        return false;
    }
    return true;
  } catch (error) {
    // A server that refuses the condition outright (501, 400) cannot be relied on; everything else is a failure to report.
    if (error instanceof RrbackupError && error.code === 'store.failed') return false;
    throw error;
  } finally {
    await removeAll(store, scratch, call);
  }
}

async function removeAll(store: Scratch, prefix: string, call: Call): Promise<void> {
  try {
    let count = 0;
    for await (const object of store.list(prefix, call)) {
      if (count++ === mostRemoved) return;
      await store.remove(object.key, object.versionId, call);
    }
  } catch (error) {
    // A key that may write but not delete is a setup worth having; then a few bytes stay behind.
    if (!(error instanceof RrbackupError && error.code === 'store.denied')) throw error;
  }
}
