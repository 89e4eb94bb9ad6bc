// What a failed system call says of itself, whoever made it: its errno's name, and that in words. Apart from libc.ts, whose
// library takes its time to load: a configuration that cannot be read needs none of it.

import util from 'node:util';

/** A refusal of our own in a place where the system refuses otherwise; its message is the reason, in the same few words. */
export class Refusal extends Error {}

/** The errno name of a thrown value, whoever threw it; undefined for anything that is not a failed system call. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Why a file system call failed, in words without its path ('permission denied'), safe to print. */
export function reasonOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  const code = errorCode(error);
  for (const [name, words] of util.getSystemErrorMap().values()) if (name === code) return words;
  return code ?? 'unknown error';
}
