// Argon2id as Node 24.7 and later have it: for where libsodium is there as WebAssembly alone, which takes longer. Used only
// where it gives the bytes that it has to give.

import crypto from 'node:crypto';
import { known } from './known.js';
import { passwordKey_bytes, type Sodium } from './sodium-types.js';

interface Parameters {
  readonly message: Uint8Array;
  readonly nonce: Uint8Array;
  readonly parallelism: number;
  readonly tagLength: number;
  readonly memory: number;
  readonly passes: number;
}

/** Undefined where there is none that can be used. */
export function nodeArgon2(): Sodium['passwordKey'] | undefined {
  const { argon2Sync } = crypto as { argon2Sync?: (algorithm: string, parameters: Parameters) => Buffer };
  if (argon2Sync === undefined) return undefined;
  const passwordKey: Sodium['passwordKey'] = (message, nonce, { ops, memory_bytes }) =>
    argon2Sync('argon2id', {
      message,
      nonce,
      parallelism: 1,
      tagLength: passwordKey_bytes,
      memory: Math.floor(memory_bytes / 1024),
      passes: ops,
    });
  try {
    return known.isPasswordKey(passwordKey) ? passwordKey : undefined;
  } catch {
    return undefined;
  }
}
