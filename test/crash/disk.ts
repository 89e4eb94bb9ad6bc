// Stands between the program and node:fs while a test runs: every call that a store in a directory makes can be written down,
// delayed or refused. Calls of this thread only; what lies elsewhere than below the given directory is left alone.

import { constants, readlinkSync } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import type { Test } from 'tap';

/** What changes the disk, or makes a change last. `file` names an open file from its creation on. */
export type DiskCall =
  | { readonly name: 'create'; readonly path: string; readonly file: number }
  | { readonly name: 'write'; readonly file: number; readonly bytes: Uint8Array }
  | { readonly name: 'sync'; readonly file: number }
  | { readonly name: 'link' | 'rename'; readonly from: string; readonly path: string }
  | { readonly name: 'mkdir' | 'remove' | 'syncDirectory'; readonly path: string };

/** What a path means that begins with an open directory. */
function named(file: unknown): unknown {
  if (typeof file !== 'string') return file;
  return path.resolve(file.replace(/^\/proc\/self\/fd\/\d+/, (link) => readlinkSync(link)));
}

/** Runs the call, or does not. */
export type Around = <T>(call: DiskCall, action: () => Promise<T>) => Promise<T>;

/** From here to the end of the test, or until the function that it returns is called. One at a time. */
export function standBetween(t: Pick<Test, 'teardown'>, root: string, around: Around): () => void {
  const original = { ...promises };
  const isOurs = (file: unknown): file is string => typeof file === 'string' && file.startsWith(`${root}/`);
  const isNew = (flags: unknown): boolean => typeof flags === 'number' && (flags & constants.O_EXCL) !== 0;
  let files = 0;
  const create = async (
    file: string,
    open: () => Promise<promises.FileHandle>,
  ): Promise<promises.FileHandle> => {
    const number = files++;
    const handle = await around({ name: 'create', path: file, file: number }, open);
    const write = handle.write.bind(handle);
    const sync = handle.sync.bind(handle);
    return Object.assign(handle, {
      write: (buffer: Uint8Array, offset: number, length: number) => {
        const bytes = Buffer.from(buffer.subarray(offset, offset + length));
        return around({ name: 'write', file: number, bytes }, () => write(buffer, offset, length));
      },
      sync: () => around({ name: 'sync', file: number }, sync),
    });
  };
  const watched = (file: string, handle: promises.FileHandle): promises.FileHandle => {
    const sync = handle.sync.bind(handle);
    return Object.assign(handle, { sync: () => around({ name: 'syncDirectory', path: file }, sync) });
  };
  const between: Partial<typeof promises> = {
    open: async (at, flags, mode) => {
      const file = named(at);
      const handle = (): Promise<promises.FileHandle> => original.open(at, flags, mode);
      if (file !== root && !isOurs(file)) return handle();
      return isNew(flags) ? create(file, handle) : watched(file, await handle());
    },
    link: (from, to) => {
      const [source, file] = [named(from), named(to)];
      const action = (): Promise<void> => original.link(from, to);
      return isOurs(file) ? around({ name: 'link', from: String(source), path: file }, action) : action();
    },
    rename: (from, to) => {
      const [source, file] = [named(from), named(to)];
      const action = (): Promise<void> => original.rename(from, to);
      return isOurs(file) ? around({ name: 'rename', from: String(source), path: file }, action) : action();
    },
    unlink: (at) => {
      const file = named(at);
      const action = (): Promise<void> => original.unlink(at);
      return isOurs(file) ? around({ name: 'remove', path: file }, action) : action();
    },
    mkdir: ((at: string, options: { mode?: number }) => {
      const file = named(at);
      const action = (): Promise<unknown> => original.mkdir(at, options);
      return isOurs(file) ? around({ name: 'mkdir', path: file }, action) : action();
    }) as typeof promises.mkdir,
  };
  Object.assign(promises, between);
  syncBuiltinESMExports();
  const stop = (): void => {
    Object.assign(promises, original);
    syncBuiltinESMExports();
  };
  t.teardown(stop);
  return stop;
}
