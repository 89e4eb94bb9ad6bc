// The data that is measured, made once in the work directory and the same wherever it is made: every byte comes from a seed
// (the system tree apart, which is this machine's own).

import { createCipheriv, createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MiB = 1024 * 1024;

const words = (() => {
  const next = numbers('words');
  const syllables = 'ba co du en fi go hi ka lo mu ne or pi qua re st ta un ve wi xy zo'.split(' ');
  return Array.from({ length: 4096 }, () =>
    Array.from({ length: 1 + next(3) }, () => syllables[next(syllables.length)]).join(''),
  );
})();

/** Bytes without end from a seed: AES in counter mode. `take` gives the next ones. */
function stream(seed) {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return (size_bytes) => cipher.update(Buffer.alloc(size_bytes));
}

/** Whole numbers from 0 to below `limit`. */
export function numbers(seed) {
  const take = stream(seed);
  let block = Buffer.alloc(0);
  let at = 0;
  return (limit) => {
    if (at === block.length) {
      block = take(64 * 1024);
      at = 0;
    }
    at += 4;
    return Math.floor((block.readUInt32LE(at - 4) / 2 ** 32) * limit);
  };
}

/** Words, a line end about every twelfth; compresses some three to one. */
function text(size_bytes, next) {
  const bytes = Buffer.alloc(size_bytes, 0x20);
  for (let at = 0; at < size_bytes;) {
    at += bytes.latin1Write(words[next(4096)], at);
    if (at < size_bytes && next(12) === 0) bytes[at] = 0x0a;
    at++;
  }
  return bytes;
}

/** `count` files of 200 B to 5 KB, 200 to a directory. */
function smallFiles(directory, { count, seed, content }) {
  const next = numbers(seed);
  const take = stream(`${seed} content`);
  for (let index = 0; index < count; index++) {
    const parent = join(directory, `part-${String(Math.floor(index / 200)).padStart(3, '0')}`);
    if (index % 200 === 0) mkdirSync(parent, { recursive: true });
    const size_bytes = 200 + next(4800);
    writeFileSync(
      join(parent, `${words[next(4096)]}-${String(index).padStart(5, '0')}.txt`),
      content === 'text' ? text(size_bytes, next) : take(size_bytes),
    );
  }
}

/** One file, in turn 4 MiB that do not compress and 4 MiB of text. */
function bigFile(path, size_bytes) {
  const next = numbers('big text');
  const take = stream('big');
  const file = openSync(path, 'w');
  for (let at = 0; at < size_bytes; at += 8 * MiB) {
    writeSync(file, take(4 * MiB));
    writeSync(file, text(4 * MiB, next));
  }
  closeSync(file);
}

function mixedFiles(directory, { big, big_bytes, small }) {
  smallFiles(join(directory, 'small'), { count: small, seed: 'mixed', content: 'random' });
  mkdirSync(join(directory, 'big'), { recursive: true });
  const take = stream('mixed big');
  for (let index = 0; index < big; index++)
    writeFileSync(join(directory, 'big', `${String(index).padStart(3, '0')}.bin`), take(big_bytes));
}

/**
 * What there is, full and --quick. Each entry makes its data in a directory; `about` is for the reader of the figures.
 * 'system-copy' is what the disk's side of `diff` compares with.
 */
function recipes(isQuick) {
  const systemTrees = isQuick
    ? ['/usr/share/doc', '/usr/share/perl', '/usr/lib/x86_64-linux-gnu/perl']
    : ['/usr/share', '/usr/lib/x86_64-linux-gnu'];
  const copySystem = async (directory, session) => {
    for (const tree of systemTrees.filter((path) => existsSync(path))) {
      const parent = join(directory, dirname(tree));
      mkdirSync(parent, { recursive: true });
      await session.run('cp', ['-a', tree, parent]);
    }
  };
  const small = isQuick ? 4000 : 20_000;
  const big_bytes = (isQuick ? 128 : 1024) * MiB;
  const s3Small = isQuick ? 1000 : 3000;
  const mixed = isQuick
    ? { big: 26, big_bytes: 1_035_000, small: 400 }
    : { big: 130, big_bytes: 1_035_000, small: 2000 };
  return {
    system: { about: `a copy of ${systemTrees.join(' and ')}`, make: copySystem },
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
      make: (directory) => bigFile(join(directory, 'big.bin'), big_bytes),
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

/** Data sets below `directory`, made when they are first asked for. */
export function dataSets(session, directory, isQuick) {
  const known = recipes(isQuick);
  /** Absolute path of the data set. */
  const path = async (name) => {
    const made = join(directory, name);
    const stamp = `${made}.made`;
    if (existsSync(stamp)) return made;
    process.stderr.write(`making the data set '${name}': ${known[name].about}\n`);
    rmSync(made, { recursive: true, force: true });
    mkdirSync(made, { recursive: true });
    await known[name].make(made, session, path);
    writeFileSync(stamp, `${known[name].about}\n`);
    return made;
  };
  return { about: (name) => known[name].about, path };
}
