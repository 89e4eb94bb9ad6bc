// Versions of which `recover` found only a part: rows of theirs, or of versions that they build upon, are lost with the packs
// that held them. What their trees show is stored so; but entries may be missing, or stand as they were before. Their headers
// say so at the end of `program`, for themselves and for later ones whose log entries nobody can write anew.

import type { VersionHeader } from './types.js';

const pattern = /, in part as far as version (\d{1,10})$/;

/** `last`: the last version that the loss reaches. */
export function markedInPart(header: VersionHeader, last: number): VersionHeader {
  return { ...header, program: `${header.program.replace(pattern, '')}, in part as far as version ${last}` };
}

/** Of the versions of a stream, ascending, the numbers of those that are there in part only. */
export function versionsInPart(headers: Iterable<Pick<VersionHeader, 'sequence' | 'program'>>): Set<number> {
  const found = new Set<number>();
  let last = 0;
  for (const { sequence, program } of headers) {
    last = Math.max(last, Number(pattern.exec(program)?.[1] ?? 0));
    if (sequence <= last) found.add(sequence);
  }
  return found;
}
