// Which repository stands at a place, and its secret: from what this machine remembers, held against the store while the
// password is at work, or from the store alone. A repository is made where there is none and this machine remembers none; it
// is never made over one.

import { cryptoReady, deriveKeys, type RepositoryKeys, streamId } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import {
  type Descriptor,
  descriptorKey,
  parseDescriptor,
  Unlocker,
  verifyDescriptor,
} from '../keys/index.js';
import { commitKey, commitsPrefix, streamsPrefix } from '../manifest/names.js';
import type { AheadStore } from '../store/ahead.js';
import type { Call, ObjectStore } from '../store/types.js';
import { createRepository } from './create.js';
import type { OpenOptions, RepositoryConfiguration } from './open.js';
import { getIfThere, holdAgainst, type Opening, recallOpening, rememberOpening } from './opening.js';
import type { LocationState, Memory } from './state.js';
import { secretOf, StoredDescriptor } from './stored-descriptor.js';

export interface Identified {
  readonly descriptor: Descriptor;
  readonly secret: Buffer;
  readonly keys: RepositoryKeys;
  /** True if it was made just now. */
  readonly created: boolean;
}

interface Question {
  readonly configuration: Pick<RepositoryConfiguration, 'encryption' | 'password' | 'host'>;
  readonly options: OpenOptions;
  readonly state: LocationState;
  readonly memory: Memory | undefined;
  /** Called once the password is at work: an S3 store takes its time to load. */
  openStore(): Promise<AheadStore>;
}

/** Undefined: there is none, and this is a dry run of the command that would make one. */
export async function identify(question: Question): Promise<Identified | undefined> {
  const { state, memory, options } = question;
  const unlocker =
    question.configuration.encryption === 'none' ? undefined : (options.unlocker ?? new Unlocker());
  try {
    const known = memory === undefined ? undefined : recallOpening(state.directory);
    return (
      (known && memory && (await fromMemory(question, known, memory, unlocker))) ??
      (await fromStore(question, unlocker))
    );
  } finally {
    void unlocker?.close();
  }
}

/** Undefined where what is remembered does not fit any more: the store has the word then, and says what is wrong. */
async function fromMemory(
  { configuration, options, state, openStore }: Question,
  known: Opening,
  memory: Memory,
  unlocker: Unlocker | undefined,
): Promise<Identified | undefined> {
  const descriptor = parsed(known.descriptor);
  if (descriptor?.repository !== memory.repositoryId || descriptor.encryption !== configuration.encryption)
    return undefined;
  const unlocking = secretOf(
    descriptor,
    { slots: known.slot === undefined ? [] : [known.slot], unread: 0 },
    configuration,
    unlocker,
  );
  // It is awaited below, unless the store has something to say first.
  unlocking.catch(() => undefined);
  const store = await openStore();
  store.conditionalCreate = descriptor.conditionalCreate;
  beginHistories(store, known.streams, memory, options);
  const [{ holds, checkedLast }] = await Promise.all([
    holdAgainst(store, known, callOf(options)),
    cryptoReady(),
  ]);
  if (!holds) return undefined;
  try {
    const { secret } = await unlocking;
    const keys = deriveKeys(secret);
    verifyDescriptor(descriptor, keys);
    const streams = streamsOf(keys, configuration.host, options);
    const isAsKnown = checkedLast === known.checkedLast && sameStreams(streams, known.streams);
    if (!isAsKnown && options.access !== 'dry-run')
      rememberOpening(state.directory, { ...known, checkedLast, streams: { ...known.streams, ...streams } });
    return { descriptor, secret, keys, created: false };
  } catch (error) {
    // Another password, for example, which opens another slot.
    if (error instanceof RrbackupError) return undefined;
    throw error;
  }
}

async function fromStore(
  { configuration, options, state, memory, openStore }: Question,
  unlocker: Unlocker | undefined,
): Promise<Identified | undefined> {
  const call = callOf(options);
  const store = await openStore();
  await cryptoReady();
  const { onWarning } = options;
  const stored = new StoredDescriptor({
    ...{ store, credentials: configuration, memory, unlocker, call },
    ...(onWarning && { onWarning }),
  });
  let created = false;
  let opened = await stored.find();
  if (opened === undefined) {
    let made = await madeMeanwhile(store, memory, call);
    if (made === undefined) {
      if (options.create !== 'if-new') {
        if (options.access === 'dry-run') return undefined;
        throw noRepository(store);
      }
      made = await createRepository(store, configuration, options);
      created = true;
    }
    opened = await stored.open(made);
  }
  const { bytes, descriptor, secret, slot, keys } = opened;
  store.conditionalCreate = descriptor.conditionalCreate;
  if (options.access !== 'dry-run') {
    if (memory === undefined) {
      if (options.adopt === true) state.forget();
      state.remember({ repositoryId: descriptor.repository, encryption: descriptor.encryption, pins: {} });
    }
    const streams = streamsOf(keys, configuration.host, options);
    rememberOpening(state.directory, { descriptor: bytes, slot, checkedLast: 'slot', streams });
  }
  return { descriptor, secret, keys, created };
}

/** More histories than that are asked for one after another. */
const maximumBegun = 32;

/** What a command's look at the store begins with, asked as `Repository.sync` and lib/manifest/chain ask it. */
function beginHistories(
  store: AheadStore,
  known: Opening['streams'],
  { pins }: Memory,
  options: OpenOptions,
): void {
  const { sync = true, sources } = options;
  if (sync !== true) return;
  const call = callOf(options);
  const own = sources?.map((source) => known[source]);
  const pinned = Object.entries(pins);
  const isNew = (stream: string | undefined): boolean => stream !== undefined && pins[stream] === undefined;
  const asksForAll = own === undefined || own.some(isNew) || pinned.length === 0;
  if (asksForAll) store.beginPrefixes(streamsPrefix, call);
  const wanted = pinned.filter(([stream]) => asksForAll || own.includes(stream));
  for (const [stream, { sequence }] of wanted.slice(0, maximumBegun)) {
    const after = commitKey(stream, Math.max(0, sequence - 1));
    store.beginList(commitsPrefix(stream), { ...call, after });
  }
}

function streamsOf(keys: RepositoryKeys, host: string, { sources = [] }: OpenOptions): Opening['streams'] {
  return Object.fromEntries(sources.map((source) => [source, streamId(keys, host, source)]));
}

const sameStreams = (some: Opening['streams'], all: Opening['streams']): boolean =>
  Object.entries(some).every(([source, stream]) => all[source] === stream);

function parsed(bytes: Buffer): Descriptor | undefined {
  try {
    return parseDescriptor(bytes);
  } catch (error) {
    if (error instanceof RrbackupError) return undefined;
    throw error;
  }
}

function callOf({ signal }: OpenOptions): Call {
  return signal === undefined ? {} : { signal };
}

function noRepository(store: ObjectStore): RrbackupError {
  return new RrbackupError({
    code: 'repository.missing',
    kind: 'no_repository',
    message: `there is no repository at ${store.location}`,
    guidance:
      'check the configuration, or make one with rrbackup init (a first rrbackup backup does that too)',
  });
}

/**
 * No descriptor: fine for a place that is really new, alarming everywhere else; unless another machine has made the repository
 * since it was asked for: then this is it.
 */
async function madeMeanwhile(
  store: ObjectStore,
  memory: Memory | undefined,
  call: Call,
): Promise<Buffer | undefined> {
  if (memory !== undefined) {
    throw new RrbackupError({
      code: 'repository.gone',
      kind: 'tampered',
      message:
        `this machine remembers repository ${memory.repositoryId} at ${store.location}, but it is not there any more: ` +
        'it was deleted or moved, a disk is not mounted, or this is another bucket under the same name',
      guidance:
        'bring it back; where only rrbackup.json is lost, run rrbackup recover; if it is gone for good and a new one shall ' +
        'begin here, run rrbackup init --adopt',
    });
  }
  // Keys alone are what an interrupted creation leaves.
  for (const prefix of ['packs/', 'streams/']) {
    for await (const found of store.list(prefix, call)) {
      const made = await getIfThere(store, descriptorKey, call);
      if (made !== undefined) return made;
      throw new RrbackupError({
        code: 'repository.no_descriptor',
        kind: 'damaged',
        message: `${store.location} holds parts of a repository (${found.key}) but no rrbackup.json, which begins one`,
        guidance:
          'rrbackup recover puts it back; if this is another place than you meant, choose another prefix',
      });
    }
  }
  return undefined;
}
