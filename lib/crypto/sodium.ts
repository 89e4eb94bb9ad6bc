// Which libsodium a thread has: the system's where there is one, the WebAssembly build otherwise. Loads it once per thread and
// never lets it out of this room.

import { loadSystemSodium } from './sodium-system.js';
import { loadWasmSodium } from './sodium-wasm.js';
import type { Sodium } from './sodium-types.js';

let loading: Promise<Sodium> | undefined;
let loaded: Sodium | undefined;

async function load(): Promise<Sodium> {
  // The system's is there at once, where the other takes 40 ms to load, and works on a password in a third of the time.
  loaded = loadSystemSodium() ?? (await loadWasmSodium());
  return loaded;
}

/**
 * Loads libsodium. Await it before deriveKeys, newObjectKey, openObjectHeader, passwordKey, wrap and unwrap; in a worker
 * thread too, for each thread has its own. The rest of lib/crypto works without.
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
