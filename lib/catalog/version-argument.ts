// The names that people give to versions: 7, latest, latest~2, 2026-11-20, 2026-11-20T03, 2026, yesterday, '2 days ago'. Pure
// functions over a stream's versions and the time; times are UTC, the ones that listings and the mount show.

import { systemClock } from '../clock.js';
import { RrbackupError } from '../errors/index.js';
import { versionsInPart } from '../manifest/in-part.js';
import { relativeTime } from './relative-time.js';
import type { VersionInfo } from './types.js';

export interface ResolvedVersion {
  readonly version: VersionInfo;
  /** How many versions the text fits; more than 1 only for a time, and then `version` is the newest of them. */
  readonly matches: number;
}

const nanoseconds = 1_000_000n;

/** When the version's scan began, as a name: 2026-11-21T03-00-00Z. */
export function versionTime(version: VersionInfo): string {
  return timeName(Number(version.header.started_ns / nanoseconds));
}

function timeName(time_ms: number): string {
  const iso = new Date(time_ms).toISOString();
  return iso.replace(/\.\d+Z$/, 'Z').replaceAll(':', '-');
}

/**
 * The names that the mount gives to versions: their times, and from the second one of the same time on '…Z-2'; '.partial'
 * follows where a version is there in part only.
 */
export function versionNames(
  versions: readonly VersionInfo[],
  timeOf: (version: VersionInfo) => string = versionTime,
): Map<VersionInfo, string> {
  const taken = new Map<string, number>();
  const inPart = versionsInPart(versions.map(({ header }) => header));
  return new Map(
    versions.map((version) => {
      const time = timeOf(version);
      const count = (taken.get(time) ?? 0) + 1;
      taken.set(time, count);
      const name = count === 1 ? time : `${time}-${count}`;
      return [version, inPart.has(version.header.sequence) ? `${name}.partial` : name];
    }),
  );
}

function notFound(message: string, guidance: string): RrbackupError {
  return new RrbackupError({ code: 'version.not_found', kind: 'not_found', message, guidance });
}

function only(
  version: VersionInfo | undefined,
  text: string,
  versions: readonly VersionInfo[],
): ResolvedVersion {
  if (version !== undefined) return { version, matches: 1 };
  const first = versions[0]!.header.sequence;
  const last = versions.at(-1)!.header.sequence;
  const span = first === last ? `the only version is ${first}` : `the versions are ${first} to ${last}`;
  throw notFound(`there is no version ${text}`, `${span}: see 'rrbackup versions'`);
}

/** For text that is none of the forms. */
export function noVersionName(text: string): RrbackupError {
  const isNegative = /^-\d+$/.test(text);
  return new RrbackupError({
    code: 'version.syntax',
    kind: 'usage',
    message: `'${text}' names no version`,
    guidance: isNegative
      ? `the newest is latest, the one before it latest~1, and so on: did you mean latest~${text.slice(1)}?`
      : "write a number, latest, latest~1 (the one before), the beginning of a time in UTC such as 2026-11-20T03, yesterday, or '2 days ago'",
  });
}

/** The one that was the newest at that time. */
function newestAt(text: string, at_ms: number, versions: readonly VersionInfo[]): ResolvedVersion {
  const at_ns = BigInt(Math.floor(at_ms)) * nanoseconds;
  const version = versions.findLast(({ header }) => header.started_ns <= at_ns);
  if (version !== undefined) return { version, matches: 1 };
  const oldest = versions.reduce((a, b) => (b.header.started_ns < a.header.started_ns ? b : a));
  throw notFound(
    `no version is as old as ${text} (${timeName(at_ms)})`,
    `the oldest is version ${oldest.header.sequence}, of ${versionTime(oldest)}`,
  );
}

/**
 * `versions`: oldest first, as the catalog gives them. Errors: 'version.not_found' (kind not_found) where nothing fits,
 * 'version.syntax' (kind usage) where the text is none of the forms.
 */
export function resolveVersion(
  text: string,
  versions: readonly VersionInfo[],
  now_ns = systemClock.now_ns(),
): ResolvedVersion {
  const fromNewest = /^latest(?:~(\d{1,9}))?$/.exec(text);
  const isNumber = /^\d{1,15}$/.test(text);
  const isTime = /^\d{4}-[\d-]*(?:[T ][\d:-]*(?:Z(?:-\d+)?(?:\.partial)?)?)?$/.test(text);
  const relative = relativeTime(text, Number(now_ns / nanoseconds));
  if (fromNewest === null && !isNumber && !isTime && relative === undefined) throw noVersionName(text);
  if (versions.length === 0)
    throw notFound('there is no version yet', "make the first one with 'rrbackup backup'");
  if (fromNewest !== null) return only(versions.at(-1 - Number(fromNewest[1] ?? 0)), text, versions);
  if (relative !== undefined && 'at_ms' in relative) return newestAt(text, relative.at_ms, versions);
  if (isNumber) {
    const numbered = versions.find((version) => version.header.sequence === Number(text));
    const ofYear = numbered === undefined && text.length === 4 ? ofTime(`${text}-`, versions) : undefined;
    return ofYear ?? only(numbered, text, versions);
  }
  if (relative !== undefined) return ofDay(text, relative.day, versions);
  const found = ofTime(text, versions);
  if (found !== undefined) return found;
  throw notFound(
    `there is no version of ${text} (UTC)`,
    "the times of all versions are in 'rrbackup versions'",
  );
}

function ofDay(text: string, day: string, versions: readonly VersionInfo[]): ResolvedVersion {
  const found = ofTime(day, versions);
  if (found !== undefined) return found;
  const before = versions.findLast((version) => versionTime(version) < day);
  throw notFound(
    `there is no version of ${text} (${day}, UTC)`,
    before === undefined
      ? "the times of all versions are in 'rrbackup versions'"
      : `the newest before that day is version ${before.header.sequence}, of ${versionTime(before)}`,
  );
}

/** By the beginning of a time; undefined if there is none. */
function ofTime(text: string, versions: readonly VersionInfo[]): ResolvedVersion | undefined {
  const time = text.replace(' ', 'T').replaceAll(':', '-');
  const names = [...versionNames(versions)];
  const named = names.find(([, name]) => name === time);
  if (named !== undefined) return { version: named[0], matches: 1 };
  const matching = names.filter(([, name]) => name.startsWith(time.replace(/Z$/, '')));
  // A clock that was set back makes a later version look older: the newest is the one with the highest number.
  const newest = matching.at(-1)?.[0];
  return newest && { version: newest, matches: matching.length };
}
