// One reader of a mount, as a process: node compare.js HOW SEED COPY MOUNTED. Reads every file of two equal trees, and prints
// those that cannot be read, each as 'path code'; ends with 1 at the first wrong byte. HOW: 'sequential', or 'random' for pieces
// here and there.

import fs from 'node:fs';
import path from 'node:path';

const [how, seed, copy = '', mounted = ''] = process.argv.slice(2);
let state = Number(seed);

function random(below: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  return Math.floor(((state >>> 8) / 2 ** 24) * below);
}

function* files(below: string): Generator<string> {
  for (const entry of fs.readdirSync(path.join(mounted, below), { withFileTypes: true })) {
    const name = path.join(below, entry.name);
    if (entry.isDirectory()) yield* files(name);
    else yield name;
  }
}

function* ranges(size_bytes: number): Generator<readonly [number, number]> {
  if (how === 'sequential') {
    const piece_bytes = 4096 << random(7);
    for (let at = 0; at <= size_bytes; at += piece_bytes) yield [at, piece_bytes];
    return;
  }
  for (let count = 0; count < 30; count++) yield [random(size_bytes + 1), 1 + random(20_000)];
}

/** As many as there are, of what is asked for. */
function read(descriptor: number, at: number, size_bytes: number): Buffer {
  const bytes = Buffer.alloc(size_bytes);
  let got = 0;
  for (let more = -1; more !== 0 && got < size_bytes; got += more)
    more = fs.readSync(descriptor, bytes, got, size_bytes - got, at + got);
  return bytes.subarray(0, got);
}

for (const name of files('')) {
  const [expected, found] = [copy, mounted].map((root) => fs.openSync(path.join(root, name), 'r')) as [
    number,
    number,
  ];
  try {
    for (const [at, size_bytes] of ranges(fs.fstatSync(expected).size))
      if (!read(found, at, size_bytes).equals(read(expected, at, size_bytes))) {
        process.stderr.write(`${name} has other bytes at ${at}\n`);
        process.exit(1);
      }
  } catch (error) {
    process.stdout.write(`${name} ${(error as NodeJS.ErrnoException).code}\n`);
  }
  fs.closeSync(expected);
  fs.closeSync(found);
}
