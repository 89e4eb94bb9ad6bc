// The inputs in the tree: corpus/<target>/ to begin with, regressions/<target>/ what failed once. Hex where binary (gzipped where
// it is mostly zeros), plain text otherwise.

import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const home = fileURLToPath(new URL('../../../test/fuzz/', import.meta.url));

export const corpusOf = (target: string): Buffer[] => inputsIn(path.join(home, 'corpus', target));
export const regressionsOf = (target: string): Buffer[] => inputsIn(path.join(home, 'regressions', target));
export const corpusDirectory = path.join(home, 'corpus');

/** Where an input that failed is kept from now on; answers its file. */
export function keepRegression(target: string, input: Buffer): string {
  const directory = path.join(home, 'regressions', target);
  fs.mkdirSync(directory, { recursive: true });
  let file: string;
  for (let number = 1; fs.existsSync((file = path.join(directory, `${number}.hex`))); number++);
  fs.writeFileSync(file, hexLines(input));
  return file;
}

export function hexLines(bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('hex')
      .match(/.{1,120}/g) ?? [];
  return `${lines.join('\n')}\n`;
}

function inputsIn(directory: string): Buffer[] {
  if (!fs.existsSync(directory)) return [];
  return fs
    .readdirSync(directory)
    .sort()
    .map((name) => decoded(name, fs.readFileSync(path.join(directory, name))));
}

function decoded(name: string, bytes: Buffer): Buffer {
  if (!name.endsWith('.hex')) return bytes;
  const binary = Buffer.from(bytes.toString('latin1').replaceAll('\n', ''), 'hex');
  return name.endsWith('.gz.hex') ? gunzipSync(binary) : binary;
}
