// Version numbers as ranges. Pure.

/** Both included. */
export interface VersionRange {
  readonly from: number;
  readonly to: number;
}

/** Ascending numbers as ranges. */
export function toRanges(numbers: Iterable<number>): VersionRange[] {
  const ranges: { from: number; to: number }[] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== undefined && last.to + 1 === number) last.to = number;
    else ranges.push({ from: number, to: number });
  }
  return ranges;
}

/** What of 1 … `last` is in none of these ranges, which are ascending. */
export function missingRanges(ranges: readonly VersionRange[], last: number): VersionRange[] {
  const missing: VersionRange[] = [];
  let next = 1;
  for (const { from, to } of ranges) {
    if (from > next) missing.push({ from: next, to: from - 1 });
    next = to + 1;
  }
  if (next <= last) missing.push({ from: next, to: last });
  return missing;
}

/** What lies in both; each is ascending. */
export function commonRanges(some: readonly VersionRange[], others: readonly VersionRange[]): VersionRange[] {
  const common: VersionRange[] = [];
  for (const one of some) {
    for (const other of others) {
      const from = Math.max(one.from, other.from);
      const to = Math.min(one.to, other.to);
      if (from <= to) common.push({ from, to });
    }
  }
  return common;
}

/** 'version 3', 'versions 1-3, 5'. */
export function versionsText(ranges: readonly VersionRange[]): string {
  const [first, second] = ranges;
  const isOne = first !== undefined && second === undefined && first.from === first.to;
  const text = ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
  return `${isOne ? 'version' : 'versions'} ${text}`;
}
