// Reads a key that `rrbackup key export` wrote, or that somebody has typed from paper.

import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { RrbackupError } from '../lib/errors/index.js';
import { parseExportedKey, type RepositoryKey } from '../lib/keys/index.js';
import { reasonOf } from '../lib/posix/reason.js';

/** A sheet has less than two thousand letters. */
const maximum_bytes = 64 * 1024;

export async function readKeyFile(cwd: string, name: string): Promise<RepositoryKey> {
  const path = resolve(cwd, name);
  const bytes = Buffer.alloc(maximum_bytes);
  try {
    const file = await open(path);
    try {
      await file.read(bytes);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new RrbackupError({
      code: 'keys.unreadable',
      kind: 'usage',
      message: `the key file ${path} cannot be read: ${reasonOf(error)}`,
      guidance: "name the file that 'rrbackup key export' wrote, or type its six lines into one",
      cause: error,
    });
  }
  const key = parseExportedKey(bytes.toString('latin1').replace(/\0+$/, ''));
  bytes.fill(0);
  return key;
}
