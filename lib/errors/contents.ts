// Stored contents that are damaged or gone, in the words of who reads the file.

import { RrbackupError } from './index.js';

const command = 'rrbackup repair --read-data';

/** Whether an error is about contents in the store: not about this machine's catalog, a network, or a right. */
function isOfContents(error: unknown): error is RrbackupError {
  if (!(error instanceof RrbackupError)) return false;
  if (error.code === 'store.missing') return true;
  return (error.kind === 'damaged' || error.kind === 'tampered') && !error.code.startsWith('catalog.');
}

/** Why a file cannot be read; where its contents are damaged, also in which versions ('version 3'), and what to do. */
export function contentsReason(error: unknown, versions?: string): string {
  const message = error instanceof Error ? error.message : String(error);
  if (!isOfContents(error)) return message;
  return `${message}${versions === undefined ? '' : ` (in ${versions})`}; to heal it: ${command}`;
}

/** The same as an error about `what`, a file of a version; any other as it is. */
export function unreadableContents(what: string, error: unknown): unknown {
  if (!isOfContents(error)) return error;
  const isGone = error.code === 'store.missing';
  return new RrbackupError({
    code: isGone ? 'pack.missing' : error.code,
    kind: isGone ? 'damaged' : error.kind,
    message: `${what} cannot be read: ${error.message}`,
    guidance: `'${command}' finds what is damaged, and heals what other packs or the source still hold`,
    cause: error,
  });
}
