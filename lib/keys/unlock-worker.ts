// The thread that tries a password on key slots. It ends when it has answered, and with it goes the memory that Argon2id
// filled, which libsodium would keep for as long as its thread lives.

import { cryptoReady, wipe } from '../crypto/index.js';
import { serve } from '../workers/serve.js';
import { tryPassword } from './try-password.js';
import type { UnlockOptions } from './unlock.js';

await cryptoReady();

serve((options: UnlockOptions) => {
  const response = tryPassword(options);
  // Once a copy of it is on its way.
  setImmediate(() => {
    wipe(response.secret);
  });
  return { response };
});
