// Another user of the machine, played by root: owns the directory that is restored into, and exchanges what stands in it right
// after any call that the restore makes through node:fs. (Calls through koffi come between those.)

import fs from 'node:fs';
import path from 'node:path';

export const mallory = 4242;

const watched = [
  'closeSync',
  'chownSync',
  'fstatSync',
  'ftruncateSync',
  'linkSync',
  'lstatSync',
  'mkdirSync',
  'openSync',
  'readdirSync',
  'readlinkSync',
  'readSync',
  'renameSync',
  'writeSync',
] as const;

/** Runs `use`, and `deed` right after its n-th call; false if there are fewer. */
export async function afterCall(n: number, deed: () => void, use: () => Promise<unknown>): Promise<boolean> {
  const originals = watched.map((name) => fs[name] as (...args: unknown[]) => unknown);
  let calls = 0;
  let isBusy = false;
  const put = (functions: readonly unknown[]): void =>
    void watched.forEach((name, index) => Object.assign(fs, { [name]: functions[index] }));
  put(
    originals.map((original) => (...args: unknown[]): unknown => {
      try {
        return original.apply(fs, args);
      } finally {
        if (!isBusy && ++calls === n) {
          isBusy = true;
          deed();
          isBusy = false;
        }
      }
    }),
  );
  try {
    await use();
  } finally {
    put(originals);
  }
  return calls >= n;
}

/** Puts something else at each name of a directory, temporary names too, and what stood there aside. */
export function exchangeAll(directory: string, aside: string, put: (at: string) => void): void {
  for (const name of fs.readdirSync(directory)) {
    const at = path.join(directory, name);
    fs.renameSync(at, path.join(aside, name));
    put(at);
  }
}

/** What root would not like to see changed. */
export function stateOf(file: string): object {
  const { mode, uid, gid, mtimeNs, ino } = fs.lstatSync(file, { bigint: true });
  const isFile = fs.lstatSync(file).isFile();
  const holds = isFile ? fs.readFileSync(file, 'latin1') : fs.readdirSync(file);
  return { mode, uid, gid, mtimeNs, ino, holds };
}
