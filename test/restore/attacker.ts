// Another user of the machine, played by root: owns the directory that is restored into, and exchanges what stands in it right
// after any call that the restore makes, through node:fs or through koffi. Import it before anything of lib/ has called C.

import fs from 'node:fs';
import path from 'node:path';
import koffi from 'koffi';

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

let afterEach: ((call: string) => void) | undefined;

function watch<A extends unknown[], R>(name: string, call: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    try {
      return call(...args);
    } finally {
      if (afterEach !== undefined) {
        const errno = koffi.errno();
        const after = afterEach;
        afterEach = undefined;
        after(name);
        afterEach = after;
        koffi.errno(errno);
      }
    }
  };
}

// The C library's functions are bound when they are first called, which is after this.
const { load } = koffi;
koffi.load = (...args: Parameters<typeof load>): ReturnType<typeof load> => {
  const library = load(...args);
  const func = (...definition: [string]): unknown =>
    watch(definition[0], library.func(...definition) as (...args: unknown[]) => unknown);
  const get = (_: object, name: string): unknown =>
    name === 'func' ? func : (Reflect.get(library, name) as unknown);
  return new Proxy({}, { get }) as typeof library;
};

/** Runs `use`, and `deed` once, right after the first call that `isNow` says; false if there is none. */
export async function afterCall(
  isNow: (call: string) => boolean,
  deed: () => void,
  use: () => Promise<unknown>,
): Promise<boolean> {
  const originals = watched.map((name) => fs[name] as (...args: unknown[]) => unknown);
  const put = (functions: readonly unknown[]): void =>
    void watched.forEach((name, index) => Object.assign(fs, { [name]: functions[index] }));
  put(originals.map((original, index) => watch(watched[index]!, original.bind(fs))));
  let isDone = false;
  afterEach = (call) => {
    if (isDone || !isNow(call)) return;
    isDone = true;
    deed();
  };
  try {
    await use();
  } finally {
    afterEach = undefined;
    put(originals);
  }
  return isDone;
}

/** For `afterCall`: the n-th. */
export function nth(n: number): () => boolean {
  let calls = 0;
  return () => ++calls === n;
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
