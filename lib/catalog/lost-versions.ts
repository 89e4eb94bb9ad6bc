// Versions that the store ought to have and that cannot be read. A name that might mean one of them means no other: who asks
// for the newest version is never given an old one instead.

import { RrbackupError } from '../errors/index.js';
import type { StreamInfo, VersionInfo } from './types.js';
import { versionNames } from './version-argument.js';
import { missingRanges, toRanges, type VersionRange, versionsText } from './version-ranges.js';

/** A stream and those of its versions that can be read, oldest first. */
export interface Readable {
  readonly stream: StreamInfo;
  readonly versions: readonly VersionInfo[];
}

/** The last range has no end where nobody knows how many follow. */
export function lostVersions({ stream, versions }: Readable): VersionRange[] {
  const readable = toRanges(versions.map(({ header }) => header.sequence));
  const lost = missingRanges(readable, stream.head);
  return stream.endsInGap ? [...lost, { from: stream.head + 1, to: Infinity }] : lost;
}

/** 'versions 3-5', 'the versions after 7'. */
function lostText(lost: readonly VersionRange[]): string {
  const last = lost.at(-1);
  if (last === undefined || last.to !== Infinity) return versionsText(lost);
  const after = `the versions after ${last.from - 1}`;
  return lost.length === 1 ? after : `${versionsText(lost.slice(0, -1))} and ${after}`;
}

/**
 * `chosen`: what `text` means among the versions that can be read, undefined for none. Throws 'version.lost' (kind damaged)
 * where it may mean one that cannot.
 */
export function refuseLost(text: string, chosen: VersionInfo | undefined, of: Readable): void {
  const lost = lostVersions(of);
  if (chosen === undefined ? !mayBeLost(text, lost) : !mayMeanLaterOne(text, chosen, lost, of.versions))
    return;
  const message = `${lostText(lost)} of ${of.stream.source} cannot be read`;
  throw lostVersion(isNumber(text) ? message : `${message}, and '${text}' may mean one of them`, of);
}

/** For who shows all versions. */
export function newestLost(of: Readable): RrbackupError {
  const { source, head } = of.stream;
  return lostVersion(`the newest versions of ${source}, those after ${head}, cannot be read`, of);
}

function lostVersion(message: string, { versions }: Readable): RrbackupError {
  const readable = versionsText(toRanges(versions.map(({ header }) => header.sequence)));
  return new RrbackupError({
    code: 'version.lost',
    kind: 'damaged',
    message,
    guidance:
      `${readable} can be read: choose one by its number; 'rrbackup check' says what is lost, 'rrbackup recover' rebuilds what ` +
      'the packs still tell',
  });
}

const isNumber = (text: string): boolean => /^\d{1,15}$/.test(text);

const includes = (ranges: readonly VersionRange[], sequence: number): boolean =>
  ranges.some(({ from, to }) => from <= sequence && sequence <= to);

const mayBeLost = (text: string, lost: readonly VersionRange[]): boolean =>
  isNumber(text) ? includes(lost, Number(text)) : lost.length > 0;

function mayMeanLaterOne(
  text: string,
  chosen: VersionInfo,
  lost: readonly VersionRange[],
  versions: readonly VersionInfo[],
): boolean {
  const { sequence } = chosen.header;
  if (isNumber(text) && Number(text) === sequence) return false;
  if (text.startsWith('latest')) return lost.some(({ from }) => from > sequence);
  // The newest version that fits is chosen: what follows the next one that can be read does not fit either.
  const isWholeName = versionNames(versions).get(chosen) === text.replace(' ', 'T').replaceAll(':', '-');
  return !isWholeName && includes(lost, sequence + 1);
}
