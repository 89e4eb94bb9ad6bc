// What reads through a mount and times itself, as a process of its own (so that a hanging mount hangs nobody else):
//   node readers.mjs random FILE SIZE COUNT    COUNT reads of 4 KiB at random places below SIZE; prints seconds and a sum
//   node readers.mjs first-byte FILE           opens the file and reads one byte; prints seconds and the byte

import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { numbers } from '../bench-common/seeds.mjs';

export const randomRead_bytes = 4096;

/** The places that `random` reads at, multiples of 4 KiB; the same ones for the same arguments. */
export function randomOffsets(size_bytes, count) {
  const next = numbers('random reads');
  const pages = Math.floor(size_bytes / randomRead_bytes);
  return Array.from({ length: count }, () => next(pages) * randomRead_bytes);
}

const works = {
  random(path, size_bytes, count) {
    const offsets = randomOffsets(Number(size_bytes), Number(count));
    const buffer = Buffer.alloc(randomRead_bytes);
    const sum = createHash('sha1');
    const began_ms = performance.now();
    const file = openSync(path, 'r');
    for (const offset of offsets) {
      const length_bytes = readSync(file, buffer, 0, randomRead_bytes, offset);
      sum.update(buffer.subarray(0, length_bytes));
    }
    closeSync(file);
    return { elapsed_s: (performance.now() - began_ms) / 1000, check: sum.digest('hex') };
  },
  'first-byte'(path) {
    const buffer = Buffer.alloc(1);
    const began_ms = performance.now();
    const file = openSync(path, 'r');
    readSync(file, buffer, 0, 1, 0);
    const elapsed_s = (performance.now() - began_ms) / 1000;
    closeSync(file);
    return { elapsed_s, check: buffer.toString('hex') };
  },
};

const [, program, work, ...args] = process.argv;
if (program === fileURLToPath(import.meta.url))
  process.stdout.write(`${JSON.stringify(works[work](...args))}\n`);
