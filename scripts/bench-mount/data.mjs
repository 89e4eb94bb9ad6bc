// What is mounted, full and --quick: every byte comes from a seed, the system tree apart, which is this machine's own.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MiB, bigFile, copyTrees, mixedFiles, smallFiles } from '../bench-common/data-sets.mjs';
import { numbers, stream, text } from '../bench-common/seeds.mjs';

/** 'system-copy' is what the disk's side of `diff` compares with. */
export function recipes(isQuick) {
  const systemTrees = isQuick
    ? ['/usr/share/doc', '/usr/share/perl', '/usr/lib/x86_64-linux-gnu/perl']
    : ['/usr/share', '/usr/lib/x86_64-linux-gnu'];
  const small = isQuick ? 4000 : 20_000;
  const names = isQuick ? 20_000 : 100_000;
  const big_bytes = (isQuick ? 128 : 1024) * MiB;
  const s3Small = isQuick ? 1000 : 3000;
  const mixed = isQuick
    ? { big: 26, big_bytes: 1_035_000, small: 400 }
    : { big: 130, big_bytes: 1_035_000, small: 2000 };
  return {
    system: {
      about: `a copy of ${systemTrees.join(' and ')}`,
      make: (directory, session) => copyTrees(session, directory, systemTrees),
    },
    names: {
      about: `${names} files of 10 B or so in one directory`,
      make: (directory) => {
        for (let index = 0; index < names; index++)
          writeFileSync(join(directory, `file-${String(index).padStart(6, '0')}`), `number ${index}\n`);
      },
    },
    'system-copy': {
      about: "a copy of 'system'",
      make: async (directory, session, path) =>
        session.run('cp', ['-a', `${await path('system')}/.`, directory]),
    },
    small: {
      about: `${small} text files of 200 B to 5 KB in ${small / 200} directories`,
      make: (directory) => smallFiles(directory, { count: small, seed: 'small', content: 'text' }),
    },
    big: {
      about: `one file of ${big_bytes / MiB} MiB, half random, half text (4 MiB in turn)`,
      make: (directory) => {
        const next = numbers('big text');
        bigFile(join(directory, 'big.bin'), big_bytes, stream('big'), (size_bytes) => text(size_bytes, next));
      },
    },
    's3-small': {
      about: `${s3Small} text files of 200 B to 5 KB in ${s3Small / 200} directories`,
      make: (directory) => smallFiles(directory, { count: s3Small, seed: 's3', content: 'text' }),
    },
    's3-mixed': {
      about: `${mixed.big} files of ${mixed.big_bytes / 1000} kB and ${mixed.small} of 200 B to 5 KB, all random`,
      make: (directory) => mixedFiles(directory, mixed),
    },
  };
}
