// What a key may look like. Every store checks here before it acts, so that no key escapes a root or means something else
// to another server.

import { RrbackupError } from '../errors/index.js';

const longestComponent_bytes = 255;
const longestKey_bytes = 800;

function components(path: string): boolean {
  return path
    .split('/')
    .every((name) => name !== '' && name !== '.' && name !== '..' && name.length <= longestComponent_bytes);
}

/** True for printable ASCII paths of at most 800 bytes without empty, '.' and '..' components. */
export function isKey(key: string): boolean {
  return key.length <= longestKey_bytes && /^[\x20-\x7e]+$/.test(key) && components(key);
}

function refuse(what: string): never {
  throw new RrbackupError({
    code: 'store.failed',
    kind: 'store',
    message: `${JSON.stringify(what)} cannot be the name of a stored object`,
    guidance: 'report this as a bug of rrbackup',
  });
}

/** Throws 'store.failed' for anything that is no key. */
export function checkKey(key: string): void {
  if (!isKey(key)) refuse(key);
}

/** A prefix is '' or the beginning of a key; it may end within a component or with '/'. */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return;
  if (!isKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)) refuse(prefix);
}
