// Loads libsodium, once per thread. The only importer of the library; hands it to this room and never lets it out.

import type library from 'libsodium-wrappers-sumo';

type Sodium = typeof library;

let loading: Promise<Sodium> | undefined;
let loaded: Sodium | undefined;

async function load(): Promise<Sodium> {
  const { default: sodium } = await import('libsodium-wrappers-sumo');
  await sodium.ready;
  loaded = sodium;
  return sodium;
}

/**
 * Loads libsodium (about 20 ms, once). Await it before deriveKeys, newObjectKey, openObjectHeader, passwordKey, wrap and
 * unwrap; in a worker thread too, for each thread has its own. The rest of lib/crypto works without.
 */
export async function cryptoReady(): Promise<void> {
  loading ??= load();
  await loading;
}

/** The library; a programming error if nobody awaited cryptoReady. */
export function sodium(): Sodium {
  if (loaded === undefined) throw new Error('cryptoReady() was not awaited in this thread');
  return loaded;
}
