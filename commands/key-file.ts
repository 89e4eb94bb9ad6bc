// Reads a key that `rrbackup key export` wrote, or that somebody has typed from paper.

import { resolve } from 'node:path';
import { RrbackupError } from '../lib/errors/index.js';
import { parseExportedKey, type RepositoryKey } from '../lib/keys/index.js';
import { reasonOf } from '../lib/posix/reason.js';
import { readNamedFile } from '../lib/posix/small-file.js';

/** A sheet has less than two thousand letters. */
const maximum_bytes = 64 * 1024;

export async function readKeyFile(cwd: string, name: string, signal: AbortSignal): Promise<RepositoryKey> {
  const path = resolve(cwd, name);
  let bytes: Buffer;
  try {
    ({ bytes } = await readNamedFile(path, { most_bytes: maximum_bytes, signal }));
  } catch (error) {
    if (error instanceof RrbackupError) throw error;
    throw new RrbackupError({
      code: 'keys.unreadable',
      kind: 'usage',
      message: `the key file ${path} cannot be read: ${reasonOf(error)}`,
      guidance: "name the file that 'rrbackup key export' wrote, or type its six lines into one",
      cause: error,
    });
  }
  const key = parseExportedKey(bytes.toString('latin1'));
  bytes.fill(0);
  return key;
}
