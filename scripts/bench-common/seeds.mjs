// Bytes, numbers and text from seeds: the same wherever and whenever they are made.

import { createCipheriv, createHash } from 'node:crypto';

const words = (() => {
  const next = numbers('words');
  const syllables = 'ba co du en fi go hi ka lo mu ne or pi qua re st ta un ve wi xy zo'.split(' ');
  return Array.from({ length: 4096 }, () =>
    Array.from({ length: 1 + next(3) }, () => syllables[next(syllables.length)]).join(''),
  );
})();

/** Bytes without end from a seed: AES in counter mode. `take` gives the next ones. */
export function stream(seed) {
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

export function word(next) {
  return words[next(words.length)];
}

/** Words, a line end about every twelfth; compresses some three to one. */
export function text(size_bytes, next) {
  const bytes = Buffer.alloc(size_bytes, 0x20);
  for (let at = 0; at < size_bytes;) {
    at += bytes.latin1Write(word(next), at);
    if (at < size_bytes && next(12) === 0) bytes[at] = 0x0a;
    at++;
  }
  return bytes;
}
