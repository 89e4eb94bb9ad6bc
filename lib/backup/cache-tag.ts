// Directories that say of themselves that their content can be made again: https://bford.info/cachedir/

import fs from 'node:fs';
import { closeFile, type OpenDirectory } from '../posix/directory.js';
import type { NameList } from '../posix/name-list.js';

const tag = Buffer.from('CACHEDIR.TAG');
const signature = Buffer.from('Signature: 8a477f597d28d172789f06886806bc55');

/** Where the tag is among the names, if there is one and it is valid. */
export function cacheTagIn(directory: OpenDirectory, names: NameList): number | undefined {
  const index = names.indexOf(tag);
  return index >= 0 && isValid(directory, names, index) ? index : undefined;
}

/** Whether the tag is a regular file with the signature. */
function isValid(directory: OpenDirectory, names: NameList, index: number): boolean {
  let fd: number;
  try {
    fd = directory.open(names, index);
  } catch {
    return false;
  }
  try {
    const start = Buffer.alloc(signature.length);
    return (
      fs.fstatSync(fd).isFile() && fs.readSync(fd, start, 0, start.length, 0) > 0 && start.equals(signature)
    );
  } finally {
    closeFile(fd);
  }
}
