// How versions are called: times, in a format of the user's choice. Pure; knows no tree. What it gives is a file name, whatever
// the format says.

import { RrbackupError } from '../../errors/index.js';

/** By name, or a pattern as of strftime(3) in UTC; `local:` before a pattern makes it one in local time. */
const presets: ReadonlyMap<string, string> = new Map([
  ['utc', '%Y-%m-%dT%H-%M-%SZ'],
  ['local', 'local:%Y-%m-%dT%H-%M-%S%z'],
  ['samba', '@GMT-%Y.%m.%d-%H.%M.%S'],
]);

export const defaultTimeFormat = 'utc';

const localPrefix = 'local:';
/** Leaves room below 255 for what stands behind a time: '-2', the extension of a file, '.deleted'. */
const maximumName_bytes = 128;

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = [
  ...['January', 'February', 'March', 'April', 'May', 'June', 'July'],
  ...['August', 'September', 'October', 'November', 'December'],
];

interface Moment {
  /** Its UTC fields are the ones to show. */
  readonly shown: Date;
  readonly seconds: number;
  readonly offset_minutes: number;
}

const padded = (value: number, digits = 2): string => String(value).padStart(digits, '0');
const hour12 = (hour: number): number => hour % 12 || 12;

const conversions: Readonly<Record<string, (moment: Moment) => string>> = {
  Y: ({ shown }) => padded(shown.getUTCFullYear(), 4),
  y: ({ shown }) => padded(shown.getUTCFullYear() % 100),
  m: ({ shown }) => padded(shown.getUTCMonth() + 1),
  d: ({ shown }) => padded(shown.getUTCDate()),
  j: ({ shown }) => padded(dayOfYear(shown), 3),
  H: ({ shown }) => padded(shown.getUTCHours()),
  I: ({ shown }) => padded(hour12(shown.getUTCHours())),
  p: ({ shown }) => (shown.getUTCHours() < 12 ? 'AM' : 'PM'),
  M: ({ shown }) => padded(shown.getUTCMinutes()),
  S: ({ shown }) => padded(shown.getUTCSeconds()),
  F: (moment) => expand('%Y-%m-%d', moment),
  T: (moment) => expand('%H:%M:%S', moment),
  A: ({ shown }) => days[shown.getUTCDay()]!,
  a: ({ shown }) => days[shown.getUTCDay()]!.slice(0, 3),
  B: ({ shown }) => months[shown.getUTCMonth()]!,
  b: ({ shown }) => months[shown.getUTCMonth()]!.slice(0, 3),
  z: ({ offset_minutes }) => offsetText(offset_minutes),
  s: ({ seconds }) => String(seconds),
  '%': () => '%',
};

/** A function from nanoseconds since 1970 to a name. Throws 'mount.time_format' (kind usage) for what names no time. */
export function timeFormatter(format: string): (time_ns: bigint) => string {
  const pattern = presets.get(format) ?? format;
  const isLocal = pattern.startsWith(localPrefix);
  const text = isLocal ? pattern.slice(localPrefix.length) : pattern;
  checkPattern(text, format);
  return (time_ns) => {
    const date = new Date(Number(time_ns / 1_000_000n));
    const offset_minutes = isLocal ? -date.getTimezoneOffset() : 0;
    const shown = new Date(date.getTime() + offset_minutes * 60_000);
    return expand(text, { shown, seconds: Math.floor(date.getTime() / 1000), offset_minutes });
  };
}

function expand(pattern: string, moment: Moment): string {
  return pattern.replaceAll(/%(.)/gsu, (_, letter: string) => conversions[letter]!(moment));
}

function checkPattern(pattern: string, format: string): void {
  const letters = Array.from(pattern.matchAll(/%(.?)/gsu), ([, letter]) => letter ?? '');
  if (letters.every((letter) => letter === '%')) refuse(`the time format '${format}' has no time in it`);
  const unknown = letters.find((letter) => conversions[letter] === undefined);
  if (unknown !== undefined) refuse(`there is no %${unknown} in time formats: '${format}'`);
  if (/[/\0]/.test(pattern)) refuse(`a name of a directory cannot hold a '/': '${format}'`);
  const longest = expand(pattern, { shown: new Date(0), seconds: 0, offset_minutes: 0 });
  if (Buffer.byteLength(longest) > maximumName_bytes) refuse(`the time format is too long: '${format}'`);
}

function refuse(message: string): never {
  throw new RrbackupError({
    code: 'mount.time_format',
    kind: 'usage',
    message,
    guidance: `write ${[...presets.keys()].join(', ')}, or a pattern such as %Y-%m-%d_%H.%M or local:%Y-%m-%d_%H.%M, of ${Object.keys(conversions).join('')}`,
  });
}

function dayOfYear(date: Date): number {
  return 1 + Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000);
}

/** +0100, -0330. */
function offsetText(offset_minutes: number): string {
  const minutes = Math.abs(offset_minutes);
  return `${offset_minutes < 0 ? '-' : '+'}${padded(Math.floor(minutes / 60))}${padded(minutes % 60)}`;
}
