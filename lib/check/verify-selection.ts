// Which packs a pass over the contents reads: all, some per cent of them by chance, or one part of so many that together are
// all. Pure.

import { sha256 } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import type { PackName } from '../pack/types.js';

/** `percent`: more than 0, at most 100. `part`: 1 … `of`. */
export type ReadData = { readonly percent: number } | { readonly part: number; readonly of: number };

/** Throws 'usage' for numbers that make no sense. */
export function checkReadData(data: ReadData): void {
  const isPossible =
    'percent' in data
      ? data.percent > 0 && data.percent <= 100
      : Number.isSafeInteger(data.of) &&
        Number.isSafeInteger(data.part) &&
        data.part >= 1 &&
        data.part <= data.of;
  if (isPossible) return;
  throw new RrbackupError({
    code: 'usage',
    kind: 'usage',
    message: `there is no such share of the contents: ${selectionName(data)}`,
    guidance: 'give a percentage above 0 and up to 100, or K/N with K from 1 to N',
  });
}

/** Tells one selection from another. */
export function selectionName(data: ReadData): string {
  return 'percent' in data ? `${data.percent}%` : `${data.part}/${data.of}`;
}

const prefixDigits = 12;

/** Of the names, those that the selection means; `seed` decides which per cent. Names are hashes, and so spread evenly. */
export function choosePacks<Pack extends { readonly name: PackName }>(
  packs: Iterable<Pack>,
  data: ReadData,
  seed: string,
): Pack[] {
  if (!('percent' in data))
    return [...packs].filter(
      ({ name }) => Number.parseInt(name.slice(0, prefixDigits), 16) % data.of === data.part - 1,
    );
  if (data.percent === 100) return [...packs];
  const lots = Array.from(packs, (pack) => ({
    pack,
    lot: sha256(Buffer.from(seed + pack.name)).readUIntBE(0, 6),
  }));
  lots.sort((a, b) => a.lot - b.lot);
  return lots.slice(0, Math.ceil((lots.length * data.percent) / 100)).map(({ pack }) => pack);
}
