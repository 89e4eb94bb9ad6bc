// Stands between the program and node:fs while a test runs: every call that a store in a directory makes can be written down,
// delayed or refused. Calls of this thread only; what lies elsewhere than below the given directory is left alone.

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

/** Runs the call, or does not. */
export type Around = <T>(call: DiskCall, action: () => Promise<T>) => Promise<T>;

/** From here to the end of the test, or until the function that it returns is called. One at a time. */
export function standBetween(t: Pick<Test, 'teardown'>, root: string, around: Around): () => void {
  const original = { ...promises };
  const isOurs = (file: unknown): file is string => typeof file === 'string' && file.startsWith(`${root}/`);
  let files = 0;
  const between: Partial<typeof promises> = {
    open: async (file, flags, mode) => {
      if (typeof file !== 'string' || (file !== root && !isOurs(file)))
        return original.open(file, flags, mode);
      if (flags === 'wx') {
        const number = files++;
        const handle = await around({ name: 'create', path: file, file: number }, () =>
          original.open(file, flags, mode),
        );
        const write = handle.write.bind(handle);
        const sync = handle.sync.bind(handle);
        return Object.assign(handle, {
          write: (buffer: Uint8Array, offset: number, length: number) => {
            const bytes = Buffer.from(buffer.subarray(offset, offset + length));
            return around({ name: 'write', file: number, bytes }, () => write(buffer, offset, length));
          },
          sync: () => around({ name: 'sync', file: number }, sync),
        });
      }
      const handle = await original.open(file, flags, mode);
      const sync = handle.sync.bind(handle);
      return Object.assign(handle, {
        sync: () => around({ name: 'syncDirectory', path: path.resolve(file) }, sync),
      });
    },
    link: (from, to) =>
      isOurs(to)
        ? around({ name: 'link', from: String(from), path: to }, () => original.link(from, to))
        : original.link(from, to),
    rename: (from, to) =>
      isOurs(to)
        ? around({ name: 'rename', from: String(from), path: to }, () => original.rename(from, to))
        : original.rename(from, to),
    rm: (file, options) =>
      isOurs(file)
        ? around({ name: 'remove', path: file }, () => original.rm(file, options))
        : original.rm(file, options),
    unlink: (file) =>
      isOurs(file)
        ? around({ name: 'remove', path: file }, () => original.unlink(file))
        : original.unlink(file),
    mkdir: ((file: string, options: { mode?: number }) =>
      isOurs(file)
        ? around({ name: 'mkdir', path: file }, () => original.mkdir(file, options))
        : original.mkdir(file, options)) as typeof promises.mkdir,
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
