// The thread that tries a password on key slots. It ends when it has answered, and with it goes the memory that Argon2id
// filled, which libsodium would keep for as long as its thread lives.

import { cryptoReady, stillMemory, wipe } from '../crypto/index.js';
import { serve } from '../workers/serve.js';
import { tryPassword } from './try-password.js';
import type { UnlockOptions } from './unlock.js';

await cryptoReady();

serve((options: UnlockOptions) => {
  const { secret, index } = tryPassword(options);
  // Memory of its own moves to the other thread: a copy would stay behind.
  const own = stillMemory(secret.length);
  own.set(secret);
  wipe(secret);
  return { response: { secret: own, index }, transfer: [own.buffer] };
});
