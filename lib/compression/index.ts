// The room's door: picks the fastest zstd that this machine has. Bindings only; what is worth compressing is decided above.

import { loadLibzstd } from './libzstd.js';
import type { Zstd } from './types.js';
import { loadWasm } from './wasm.js';
import { loadZlib } from './zlib.js';

export { compressBound, type Zstd } from './types.js';

/** Level 3 takes a third more time for one or two per cent on most data, and gains nothing on small texts in one block. */
export const defaultLevel = 2;

type Name = Zstd['name'];

const loaders: Record<Name, () => Promise<Zstd | undefined>> = {
  'node:zlib': () => Promise.resolve(loadZlib()),
  libzstd: loadLibzstd,
  wasm: loadWasm,
};
const order: readonly Name[] = ['libzstd', 'node:zlib', 'wasm'];

/** Per thread: a binding's contexts may not be shared, and are not worth making twice. */
const loaded = new Map<Name, Promise<Zstd | undefined>>();

function load(name: Name): Promise<Zstd | undefined> {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const loading = loaders[name]();
  loaded.set(name, loading);
  return loading;
}

/**
 * The first that is there of the system's libzstd (half again as fast as node:zlib, which makes a context and new memory for each
 * call), node:zlib, WebAssembly (always there); `prefer` is tried before them.
 */
export async function loadZstd(prefer?: Name): Promise<Zstd> {
  for (const name of prefer === undefined ? order : [prefer, ...order]) {
    const zstd = await load(name);
    if (zstd !== undefined) return zstd;
  }
  throw new Error('no zstd: the package is incomplete');
}
