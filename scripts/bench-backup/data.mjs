// What is backed up, full and --quick. Everything comes from a seed or from the project's own dependencies, so that it is the
// same everywhere; the system tree alone is this machine's.

import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, mkdirSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { MiB, bigFile, copyTrees, mixedFiles, smallFiles } from '../bench-common/data-sets.mjs';
import { stream } from '../bench-common/seeds.mjs';
import { sourceCode } from './source-code.mjs';

const bigName = 'big.bin';
const changingName = 'changing.bin';

/** `count` files of `size_bytes` each, all different, 1,000 to a directory. */
export function tinyFiles(directory, count, size_bytes) {
  for (let index = 0; index < count; index++) {
    const parent = join(directory, `part-${String(Math.floor(index / 1000)).padStart(5, '0')}`);
    if (index % 1000 === 0) mkdirSync(parent);
    const content = size_bytes === 0 ? '' : `${index.toString(36)}-`.padEnd(size_bytes, 'tiny ');
    writeFileSync(join(parent, `${String(index % 1000).padStart(3, '0')}.txt`), content);
  }
}

/** What is commonly there, in the order in which it is taken. */
function systemTrees(isQuick) {
  const libraries = `/usr/lib/${{ x64: 'x86_64', arm64: 'aarch64' }[process.arch] ?? process.arch}-linux-gnu`;
  return isQuick
    ? ['/usr/share/doc', '/usr/share/perl', `${libraries}/perl`, '/usr/share/locale', '/usr/bin']
    : ['/usr/share', libraries, '/usr/include', '/usr/lib/python3', '/usr/lib/gcc', '/usr/bin', '/usr/sbin'];
}

export function recipes(isQuick) {
  const system_bytes = (isQuick ? 0.15 : 1.2) * 1e9;
  const source = isQuick ? { releases: 2, share: 0.25 } : { releases: 8, share: 1 };
  const text = isQuick ? 5000 : 100_000;
  const random_bytes = (isQuick ? 256 : 2048) * MiB;
  const million = isQuick ? 20_000 : 1_000_000;
  const mixed = isQuick
    ? { big: 26, big_bytes: 1_035_000, small: 400 }
    : { big: 130, big_bytes: 1_035_000, small: 2000 };
  return {
    system: {
      about: `a copy of ${systemTrees(isQuick).join(', ')}, as many of them as it takes for ${system_bytes / 1e6} MB`,
      make: (directory, session) => copyTrees(session, directory, systemTrees(isQuick), system_bytes),
    },
    source: sourceCode(source),
    text: {
      about: `${text} text files of 200 B to 5 KB in ${text / 200} directories`,
      make: (directory) => smallFiles(directory, { count: text, seed: 'text', content: 'text' }),
    },
    random: {
      about: `one file of ${random_bytes / MiB} MiB, random`,
      make: (directory) => bigFile(join(directory, bigName), random_bytes, stream('random')),
      change: changeOneByte,
    },
    million: {
      about: `${million} files of 20 bytes, 1,000 to a directory`,
      make: (directory) => tinyFiles(directory, million, 20),
    },
    tiny: {
      about: '10 files of 20 bytes',
      make: (directory) => tinyFiles(directory, 10, 20),
    },
    mixed: {
      about: `${mixed.big} files of ${mixed.big_bytes / 1000} kB and ${mixed.small} of 200 B to 5 KB, all random`,
      make: (directory) => {
        mixedFiles(directory, mixed);
        changeOneFile(directory);
      },
      change: changeOneFile,
    },
  };
}

/** In the middle of the big file. */
function changeOneByte(directory) {
  const file = openSync(join(directory, bigName), 'r+');
  const middle = Math.floor(fstatSync(file).size / 2);
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, middle);
  byte[0] ^= 0xff;
  writeSync(file, byte, 0, 1, middle);
  closeSync(file);
}

/** One of 1 KB, to what it never was before. */
function changeOneFile(directory) {
  writeFileSync(join(directory, changingName), randomBytes(1000));
}
