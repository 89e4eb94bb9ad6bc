// One reader of scripts/soak-mount: picks versions, directories and files at random, reads them whole or in parts, through the
// mount and from the copy that was kept, and compares. Ends when its input does; says how much it compared.

import fs from 'node:fs';
import path from 'node:path';

const [kept, mounted] = process.argv.slice(2);
const random = (below) => Math.floor(Math.random() * below);
const total = { bytes: 0, files: 0 };
const piece_bytes = 256 * 1024;
let isEnding = false;
process.stdin.resume().on('end', () => (isEnding = true));

function compare(copy, seen, offset, size_bytes) {
  const expected = Buffer.alloc(size_bytes);
  const found = Buffer.alloc(size_bytes);
  const read = fs.readSync(copy, expected, 0, size_bytes, offset);
  let got = 0;
  for (let more = -1; got < size_bytes && more !== 0; got += more)
    more = fs.readSync(seen, found, got, size_bytes - got, offset + got);
  total.bytes += read;
  return got === read && found.subarray(0, got).equals(expected.subarray(0, read));
}

/** Whole in sequence, or a few places in it. */
function compareFile(name, version) {
  const copy = fs.openSync(path.join(kept, version, name));
  try {
    const seen = fs.openSync(path.join(mounted, version, name));
    try {
      const size_bytes = fs.fstatSync(copy).size;
      const isWhole = size_bytes < 2 ** 20 || random(4) === 0;
      const offsets = isWhole
        ? Array.from({ length: Math.ceil(size_bytes / piece_bytes) + 1 }, (_, index) => index * piece_bytes)
        : Array.from({ length: 20 }, () => random(size_bytes));
      for (const offset of offsets)
        if (!compare(copy, seen, offset, isWhole ? piece_bytes : 4096))
          throw new Error(`${version}/${name}: other bytes at ${offset}`);
      total.files++;
    } finally {
      fs.closeSync(seen);
    }
  } finally {
    fs.closeSync(copy);
  }
}

function walk(directory, version) {
  const names = fs.readdirSync(path.join(kept, version, directory)).sort();
  const seen = fs.readdirSync(path.join(mounted, version, directory)).sort();
  if (names.join('/') !== seen.join('/')) throw new Error(`${version}/${directory}: other names`);
  for (const name of names) {
    const below = path.join(directory, name);
    if (fs.statSync(path.join(kept, version, below)).isDirectory()) walk(below, version);
    else compareFile(below, version);
  }
}

while (!isEnding) {
  const versions = fs.readdirSync(kept).filter((name) => name !== 'new');
  const version = versions[random(versions.length)];
  try {
    const top = fs.readdirSync(path.join(kept, version)).filter((name) => name !== 'new');
    const name = top[random(top.length)];
    if (fs.statSync(path.join(kept, version, name)).isDirectory()) walk(name, version);
    else compareFile(name, version);
  } catch (error) {
    // The copy was taken away meanwhile.
    if (fs.existsSync(path.join(kept, version))) throw error;
  }
  await new Promise(setImmediate);
}
process.stdout.write(JSON.stringify(total));
process.exit(0);
