// Sizes as people write them.

const units = ['', 'K', 'M', 'G', 'T'];
const pattern = /^(\d+(?:\.\d+)?) ?([KMGT]?)(?:i?B)?$/i;

/** '500M', '2 GiB', '1.5g', '4096', '0' as bytes, in powers of 1,024; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const [, number, unit] = pattern.exec(text.trim()) ?? [];
  if (number === undefined || unit === undefined) return undefined;
  const size_bytes = Math.round(Number(number) * 1024 ** units.indexOf(unit.toUpperCase()));
  return Number.isSafeInteger(size_bytes) ? size_bytes : undefined;
}
