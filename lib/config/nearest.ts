// The word that somebody meant who wrote another one. Pure.

/** Levenshtein distance with neighbours swapped counting as one step (optimal string alignment). */
export function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, before[j - 2]! + 1);
      next.push(best);
    }
    before = row;
    row = next;
  }
  return row[b.length]!;
}

/** The candidate with the fewest steps to `word`, whatever the case of the letters; the first of equals. Needs at least one. */
export function nearest(word: string, candidates: readonly string[]): string {
  const wanted = word.toLowerCase();
  let best = candidates[0]!;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const steps = distance(wanted, candidate.toLowerCase());
    if (steps >= bestDistance) continue;
    best = candidate;
    bestDistance = steps;
  }
  return best;
}

/** Whether one word may well be the other, mistyped. */
export function isNear(word: string, other: string): boolean {
  return distance(word.toLowerCase(), other.toLowerCase()) <= Math.max(1, word.length / 3);
}
