// Making a repository: probe the store, wrap a new secret under the password, write the descriptor last. The descriptor is
// what makes a repository; whatever an interrupted creation leaves without one is harmless, and so is what a machine leaves that
// was not the first: a key slot under keys/ of a repository that is not there (`rrbackup key list` tells it apart).

import os from 'node:os';
import { systemClock } from '../clock.js';
import { deriveKeys, publicSecret, randomBytes, wipe, wipeKeys } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import { addPassword, descriptorKey, encodeDescriptor } from '../keys/index.js';
import { maximumJson_bytes } from '../keys/json.js';
import { tellOurs, versionsOf } from '../store/read-back.js';
import type { Call, ObjectStore } from '../store/types.js';
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
  if (!conditionalCreate) await putAlone(store, bytes, call);
  // Another machine made the repository at the same moment; its descriptor was first, so it is that machine's repository.
  else if (!(await putFirst(store, bytes, call)))
    return await store.get(descriptorKey, { ...call, most_bytes: maximumJson_bytes });
  options.note(
    `made a new ${configuration.encryption === 'none' ? 'UNENCRYPTED ' : ''}repository ${repositoryId} at ${store.location}`,
  );
  return bytes;
}

async function putFirst(store: ObjectStore, bytes: Buffer, call: Call): Promise<boolean> {
  try {
    await store.create(descriptorKey, bytes, call);
    return true;
  } catch (error) {
    if (error instanceof RrbackupError && error.code === 'store.exists') return false;
    throw error;
  }
}

/**
 * Where nothing is created conditionally, two machines may both put. Each looks after its put and withdraws its own if it sees the
 * other's: both may, then neither has made a repository. What delete markers have hidden for long does not count.
 */
async function putAlone(store: ObjectStore, bytes: Buffer, call: Call): Promise<void> {
  const hidden = new Set((await versionsOf(store, descriptorKey, call)).map(({ versionId }) => versionId));
  if ((await store.stat(descriptorKey, call)) !== undefined) throw madeMeanwhile(store);
  const { versionId } = await store.create(descriptorKey, bytes, call);
  let told: Awaited<ReturnType<typeof tellOurs>>;
  do {
    const versions = await versionsOf(store, descriptorKey, call);
    const added = versions.filter((version) => !hidden.has(version.versionId));
    told = await tellOurs(store, added, { bytes, versionId }, call);
  } while (told === undefined);
  if (told.others.length === 0) return;
  for (const own of told.ours) await store.remove(descriptorKey, own.versionId, call);
  throw madeMeanwhile(store);
}

function madeMeanwhile(store: ObjectStore): RrbackupError {
  return new RrbackupError({
    code: 'repository.made_meanwhile',
    kind: 'busy',
    message: `another machine is making a repository at ${store.location} at this moment`,
    guidance: 'run the command again in a moment: it uses the one that is there then, or makes it',
  });
}
