// An entry the way `ls -l` shows it: mode letters, owner, size, time, name.

import { printable } from '../../lib/bytes/path.js';
import type { Entry, EntryType } from '../../lib/manifest/types.js';
import { formatLocalTime } from './units.js';

const letters: Readonly<Record<EntryType, string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  socket: 's',
  'character-device': 'c',
  'block-device': 'b',
};

/** drwxr-xr-x, with s, S, t and T for setuid, setgid and sticky. */
export function formatMode(entry: Entry): string {
  const { mode } = entry;
  const bit = (mask: number, letter: string): string => ((mode & mask) === 0 ? '-' : letter);
  const execute = (mask: number, special: number, letter: string): string => {
    if ((mode & special) === 0) return bit(mask, 'x');
    return (mode & mask) === 0 ? letter.toUpperCase() : letter;
  };
  return [
    letters[entry.type],
    bit(0o400, 'r'),
    bit(0o200, 'w'),
    execute(0o100, 0o4000, 's'),
    bit(0o040, 'r'),
    bit(0o020, 'w'),
    execute(0o010, 0o2000, 's'),
    bit(0o004, 'r'),
    bit(0o002, 'w'),
    execute(0o001, 0o1000, 't'),
  ].join('');
}

export interface Names {
  readonly userNames: ReadonlyMap<number, string>;
  readonly groupNames: ReadonlyMap<number, string>;
}

function owner(id: number, names: ReadonlyMap<number, string>): string {
  const name = names.get(id);
  return (name === undefined ? String(id) : printable(Buffer.from(name))).padEnd(8);
}

/** One line; sizes in bytes, since a listing is compared with others. `name` is shown escaped. */
export function formatEntry(name: Uint8Array, entry: Entry, names: Names): string {
  const size = entry.type.endsWith('device')
    ? `${entry.rdevMajor}, ${entry.rdevMinor}`
    : String(entry.size_bytes);
  const suffix =
    entry.type === 'symlink' ? ` -> ${printable(entry.target)}` : entry.type === 'directory' ? '/' : '';
  return [
    formatMode(entry),
    owner(entry.uid, names.userNames),
    owner(entry.gid, names.groupNames),
    size.padStart(12),
    formatLocalTime(entry.mtime_ns),
    printable(name) + suffix,
  ].join(' ');
}
