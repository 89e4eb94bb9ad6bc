// Errors of the layers below say what does not fit; here they learn which stored object it was.

import { RrbackupError } from '../errors/index.js';

/**
 * Runs `work`; its errors of kinds damaged, tampered and newer_format come out under the name of the object, damage with
 * `code`. Every other error passes.
 */
export function naming<T>(code: string, what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw named(code, what, error);
  }
}

/** The same for work that waits. */
export async function namingAsync<T>(code: string, what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw named(code, what, error);
  }
}

function named(code: string, what: string, error: unknown): unknown {
  if (!(error instanceof RrbackupError)) return error;
  const { kind, guidance } = error;
  if (kind !== 'damaged' && kind !== 'tampered' && kind !== 'newer_format') return error;
  return new RrbackupError({
    code: kind === 'damaged' ? code : error.code,
    kind,
    message: `${what}: ${error.message}`,
    ...(guidance === undefined ? {} : { guidance }),
    cause: error,
  });
}
