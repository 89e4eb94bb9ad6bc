// What a repository stands on, put back where it is lost: rrbackup.json, and a password's key slot. From whatever still tells
// the secret: a password and a slot, an exported key, or, without encryption, the packs themselves. Writes nothing before stored
// data has proven the secret; never deletes, and what stands in the way stays beside.

import { userInfo } from 'node:os';
import { type Clock, systemClock } from '../clock.js';
import { loadZstd } from '../compression/index.js';
import { cryptoReady, deriveKeys, publicSecret, type RepositoryKeys, wipe } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import {
  addPassword,
  descriptorKey,
  type Descriptor,
  encodeDescriptor,
  parseDescriptor,
  readSlots,
  type RepositoryKey,
  repositoryOfSlot,
  storedDescriptors,
  type StoredSlots,
  Unlocker,
  verifyDescriptor,
} from '../keys/index.js';
import { packKey, packsPrefix, parsePackKey, readPackEnd, type StoredPack } from '../pack/index.js';
import type { Run } from '../progress.js';
import {
  openRepositoryOn,
  refuseIfLocked,
  type OpenOptions,
  type Repository,
  type RepositoryConfiguration,
} from '../repository/index.js';
import { getIfThere } from '../repository/opening.js';
import { openStore } from '../store/open.js';
import type { Call, ObjectStore } from '../store/types.js';
import { putBeside } from './put-beside.js';

export interface FoundationOptions extends Run {
  /** What `rrbackup key export` wrote. */
  readonly key?: RepositoryKey | undefined;
  readonly clock?: Clock;
  /** What was done, for the user. */
  note(message: string): void;
}

type Configuration = Pick<RepositoryConfiguration, 'encryption' | 'password' | 'host'>;

/** A pack that cannot be read proves nothing; so many are tried. */
const enoughPacks = 32;
/** Where the repository id stands in a pack: lib/pack/FORMAT.md. */
const idInPack = { offset: 12, length: 16 };

/** Opens a repository of which any part may be lost, for `recover`: the catalog is not brought up to date. */
export async function openForRecovery(
  configuration: RepositoryConfiguration,
  options: FoundationOptions & Pick<OpenOptions, 'unlocker'>,
): Promise<Repository> {
  refuseIfLocked(configuration);
  return openForRecoveryOn(await openStore(configuration.store), configuration, options);
}

/** The same on a store of the caller's, which is closed with the repository. */
export async function openForRecoveryOn(
  store: ObjectStore,
  configuration: Parameters<typeof openRepositoryOn>[1],
  options: FoundationOptions & Pick<OpenOptions, 'unlocker'>,
): Promise<Repository> {
  let asked: Promise<string> | undefined;
  const password = (purpose?: 'open' | 'create') => (asked ??= configuration.password(purpose));
  const once = { ...configuration, password };
  try {
    await restoreFoundation(store, once, options);
  } catch (error) {
    await store.close();
    throw error;
  }
  return openRepositoryOn(store, once, { ...options, access: 'write', sync: false });
}

async function restoreFoundation(
  store: ObjectStore,
  configuration: Configuration,
  options: FoundationOptions,
): Promise<void> {
  await cryptoReady();
  const call = options.signal === undefined ? {} : { signal: options.signal };
  const { current, others } = await readDescriptors(store, call);
  // Opening it says so in words.
  if (current !== undefined && current.encryption !== configuration.encryption) return;
  if (options.key !== undefined && configuration.encryption === 'none') throw needsNoKey();
  const descriptors = [...(current === undefined ? [] : [current]), ...others];
  const { slots, unread } =
    configuration.encryption === 'none' ? { slots: [], unread: 0 } : await readSlots(store, call);
  const key = options.key ?? (await findKey(store, configuration, descriptors, { slots, unread }, call));
  try {
    const keys = deriveKeys(key.secret);
    const isTrue = (descriptor: Descriptor) =>
      descriptor.repository === key.repositoryId && holds(descriptor, keys);
    if (current === undefined || !isTrue(current)) {
      const earlier = others.find(isTrue);
      if (earlier === undefined) await prove(store, key.repositoryId, keys, call);
      await store.prepare({ ...call, note: (message) => options.note(message) });
      const { encryption } = configuration;
      const fields = earlier ?? {
        repository: key.repositoryId,
        encryption,
        conditionalCreate: await store.probeConditionalCreate(call),
        created: timeOf(options),
      };
      await putBeside(store, descriptorKey, encodeDescriptor(fields, keys), call);
      const how = earlier === undefined ? 'made anew' : 'put back as it was';
      options.note(`${descriptorKey}, which begins the repository, was lost: it is ${how}`);
    }
    if (options.key !== undefined)
      await letPasswordOpen(store, configuration, { slots, unread }, key, options);
  } finally {
    if (options.key === undefined) wipe(key.secret);
  }
}

/** With an exported key whoever has it may choose a password. */
async function letPasswordOpen(
  store: ObjectStore,
  configuration: Configuration,
  { slots, unread }: StoredSlots,
  { repositoryId, secret }: RepositoryKey,
  options: FoundationOptions,
): Promise<void> {
  const password = await configuration.password('create');
  const own = slots.filter(({ bytes }) => repositoryOfSlot(bytes) === repositoryId);
  const unlocker = new Unlocker();
  try {
    wipe((await unlocker.unlock({ slots: own, unread, password, repositoryId })).secret);
    return;
  } catch (error) {
    const opensNone =
      error instanceof RrbackupError && ['wrong_password', 'damaged', 'tampered'].includes(error.kind);
    if (!opensNone) throw error;
  } finally {
    await unlocker.close();
  }
  const name = `${userInfo().username}@${configuration.host}`;
  const slot = { secret, password, repositoryId, name, created: timeOf(options) };
  await addPassword(store, slot, options.signal === undefined ? {} : { signal: options.signal });
  options.note('your password opened the repository no more, or never did: it does now');
}

/** Of all stored versions; `current` is the one that readers find. */
async function readDescriptors(
  store: ObjectStore,
  call: Call,
): Promise<{ current: Descriptor | undefined; others: Descriptor[] }> {
  const current = await getIfThere(store, descriptorKey, call).catch(unlessTooLarge);
  const others = (await storedDescriptors(store, call)).filter((bytes) => current?.equals(bytes) !== true);
  return {
    current: current && parsed(current),
    others: others.flatMap((bytes) => parsed(bytes) ?? []),
  };
}

function unlessTooLarge(error: unknown): undefined {
  if (!(error instanceof RrbackupError) || error.code !== 'store.too_large') throw error;
}

function parsed(bytes: Buffer): Descriptor | undefined {
  try {
    return parseDescriptor(bytes);
  } catch (error) {
    if (error instanceof RrbackupError && error.kind === 'damaged') return undefined;
    throw error;
  }
}

function holds(descriptor: Descriptor, keys: RepositoryKeys): boolean {
  try {
    verifyDescriptor(descriptor, keys);
    return true;
  } catch (error) {
    if (error instanceof RrbackupError && error.kind === 'tampered') return false;
    throw error;
  }
}

async function findKey(
  store: ObjectStore,
  { encryption, password }: Configuration,
  descriptors: readonly Descriptor[],
  { slots, unread }: StoredSlots,
  call: Call,
): Promise<RepositoryKey> {
  const named = descriptors.map(({ repository }) => repository);
  if (encryption === 'none') {
    for (const repositoryId of new Set([...named, ...(await idsInPacks(store, call))])) {
      const secret = publicSecret(repositoryId);
      if (await opensPacks(store, repositoryId, deriveKeys(secret), call)) return { repositoryId, secret };
      const own = descriptors.find(({ repository }) => repository === repositoryId);
      if (own !== undefined && holds(own, deriveKeys(secret))) return { repositoryId, secret };
    }
    throw nothingToOpen(store, 'without encryption, as the configuration says');
  }
  const inSlots = slots.flatMap(({ bytes }) => repositoryOfSlot(bytes) ?? []);
  if (inSlots.length === 0) throw noSlots(store);
  const unlocker = new Unlocker();
  try {
    let failure: unknown;
    for (const repositoryId of new Set([...named, ...inSlots])) {
      const own = slots.filter(({ bytes }) => repositoryOfSlot(bytes) === repositoryId);
      if (own.length === 0) continue;
      try {
        const { secret } = await unlocker.unlock({
          ...{ slots: own, unread, repositoryId },
          password: await password(),
        });
        return { repositoryId, secret };
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  } finally {
    await unlocker.close();
  }
}

async function* somePacks(store: ObjectStore, call: Call): AsyncGenerator<StoredPack> {
  let count = 0;
  for await (const { key, versionId, size_bytes } of store.list(packsPrefix, call)) {
    const name = parsePackKey(key);
    if (name === undefined) continue;
    if (++count > enoughPacks) return;
    yield { name, versionId, size_bytes };
  }
}

async function idsInPacks(store: ObjectStore, call: Call): Promise<string[]> {
  const ids: string[] = [];
  for await (const { name, versionId, size_bytes } of somePacks(store, call)) {
    if (size_bytes < idInPack.offset + idInPack.length) continue;
    const options = { ...call, range: idInPack, ...(versionId === '' ? {} : { versionId }) };
    ids.push((await store.get(packKey(name), options)).toString('hex'));
  }
  return ids;
}

async function opensPacks(
  store: ObjectStore,
  repositoryId: string,
  keys: RepositoryKeys,
  call: Call,
): Promise<boolean> {
  const context = { store, keys, repositoryId, zstd: await loadZstd() };
  for await (const pack of somePacks(store, call)) {
    try {
      await readPackEnd(context, pack, call.signal);
      return true;
    } catch (error) {
      if (!(error instanceof RrbackupError) || !['damaged', 'tampered', 'not_found'].includes(error.kind))
        throw error;
    }
  }
  return false;
}

/** Throws unless stored data opens with the keys. */
async function prove(
  store: ObjectStore,
  repositoryId: string,
  keys: RepositoryKeys,
  call: Call,
): Promise<void> {
  if (!(await opensPacks(store, repositoryId, keys, call)))
    throw nothingToOpen(store, `with the key of repository ${repositoryId}`);
}

function timeOf({ clock = systemClock }: FoundationOptions): string {
  return new Date(Number(clock.now_ns() / 1_000_000n)).toISOString();
}

function nothingToOpen({ location }: ObjectStore, how: string): RrbackupError {
  return new RrbackupError({
    code: 'recover.nothing_opens',
    kind: 'no_repository',
    message: `${location} holds no pack that can be read ${how}`,
    guidance:
      'check that the configuration names the right place, and that the key or the password is this repository’s',
  });
}

function noSlots({ location }: ObjectStore): RrbackupError {
  return new RrbackupError({
    code: 'keys.none',
    kind: 'damaged',
    message: `no key slot is left under keys/ at ${location}: no password can open the repository`,
    guidance: 'an exported key can: rrbackup recover --key-file FILE',
  });
}

function needsNoKey(): RrbackupError {
  return new RrbackupError({
    code: 'usage',
    kind: 'usage',
    message: 'the configuration says encryption = none: such a repository has no key',
    guidance: 'leave --key-file away, or remove encryption = none if the repository is encrypted',
  });
}
