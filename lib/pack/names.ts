// The one place that builds and parses the names of packs in a store.

import type { PackName } from './types.js';

export const packsPrefix = 'packs/';

const keyPattern = /^packs\/([0-9a-f]{2})\/([0-9a-f]{64})$/;

export function packKey(name: PackName): string {
  return `${packsPrefix}${name.slice(0, 2)}/${name}`;
}

/** The pack behind a key; undefined for a key that no rrbackup made. */
export function parsePackKey(key: string): PackName | undefined {
  const [, fan, name] = keyPattern.exec(key) ?? [];
  return name !== undefined && name.startsWith(fan!) ? name : undefined;
}
