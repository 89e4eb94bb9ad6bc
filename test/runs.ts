// How often a property is tried: a little in every run of the tests, more by `scripts/test --long`.

/** How many times as often as otherwise. */
const times = Number(process.env['RRBACKUP_LONG'] ?? 1);

/** So many tries, as fc.assert wants to be told. */
export function runs(count: number): { readonly numRuns: number } {
  return { numRuns: count * times };
}
