// Making a repository: probe the store, wrap a new secret under the password, write the descriptor last. The descriptor is
// what makes a repository; whatever an interrupted creation leaves without one is harmless.

import os from 'node:os';
import { systemClock } from '../clock.js';
import { deriveKeys, publicSecret, randomBytes, wipe, wipeKeys } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import { addPassword, descriptorKey, encodeDescriptor } from '../keys/index.js';
import { maximumJson_bytes } from '../keys/json.js';
import type { ObjectStore } from '../store/types.js';
import type { OpenOptions, RepositoryConfiguration } from './open.js';

/** Writes a new repository and returns its descriptor's bytes. The store must be empty of ours. */
export async function createRepository(
  store: ObjectStore,
  configuration: Pick<RepositoryConfiguration, 'encryption' | 'password' | 'host'>,
  options: OpenOptions,
): Promise<Buffer> {
  const call = options.signal === undefined ? {} : { signal: options.signal };
  const clock = options.clock ?? systemClock;
  const created = new Date(Number(clock.now_ns() / 1_000_000n)).toISOString();
  const password =
    configuration.encryption === 'password' ? await configuration.password('create') : undefined;
  await store.prepare({ ...call, note: (message) => options.note(message) });
  const conditionalCreate = await store.probeConditionalCreate(call);
  const repositoryId = randomBytes(16).toString('hex');
  const secret = password === undefined ? publicSecret(repositoryId) : randomBytes(32);
  if (password !== undefined) {
    const name = `${os.userInfo().username}@${configuration.host}`;
    await addPassword(store, { secret, password, repositoryId, name, created }, call);
  }
  const keys = deriveKeys(secret);
  const bytes = encodeDescriptor(
    { repository: repositoryId, encryption: configuration.encryption, conditionalCreate, created },
    keys,
  );
  // It is opened anew, by its password.
  wipe(secret);
  wipeKeys(keys);
  store.conditionalCreate = conditionalCreate;
  try {
    await store.create(descriptorKey, bytes, call);
  } catch (error) {
    // Another machine made the repository at the same moment; its descriptor was first, so it is that machine's repository.
    if (error instanceof RrbackupError && error.code === 'store.exists')
      return await store.get(descriptorKey, { ...call, most_bytes: maximumJson_bytes });
    throw error;
  }
  options.note(
    `made a new ${configuration.encryption === 'none' ? 'UNENCRYPTED ' : ''}repository ${repositoryId} at ${store.location}`,
  );
  return bytes;
}
