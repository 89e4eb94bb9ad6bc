// From what is stored as rrbackup.json to the keys: the object that stands there, or where that is deleted, written over or
// of somebody else an earlier version of it, which a bucket keeps. Never writes; what it opens the keys have proven.

import { deriveKeys, publicSecret, type RepositoryKeys } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import {
  type Descriptor,
  descriptorKey,
  parseDescriptor,
  readSlots,
  storedDescriptors,
  type StoredSlot,
  type StoredSlots,
  type Unlocker,
  verifyDescriptor,
} from '../keys/index.js';
import type { Call, ObjectStore } from '../store/types.js';
import type { RepositoryConfiguration } from './open.js';
import { getIfThere } from './opening.js';
import type { Memory } from './state.js';

export type Credentials = Pick<RepositoryConfiguration, 'encryption' | 'password'>;

export interface Opened {
  readonly bytes: Buffer;
  readonly descriptor: Descriptor;
  readonly secret: Buffer;
  readonly slot: StoredSlot | undefined;
  readonly keys: RepositoryKeys;
}

export interface DescriptorOptions {
  readonly store: ObjectStore;
  readonly credentials: Credentials;
  /** What this machine remembers of the place: only that repository will do. */
  readonly memory: Memory | undefined;
  /** Undefined: there is no password. */
  readonly unlocker: Unlocker | undefined;
  readonly call: Call;
  onWarning?(message: string): void;
}

const noSlots: StoredSlots = { slots: [], unread: 0 };

export class StoredDescriptor {
  readonly #options: DescriptorOptions;
  readonly #credentials: Credentials;
  #slots: Promise<StoredSlots> | undefined;

  constructor(options: DescriptorOptions) {
    const { encryption, password } = options.credentials;
    this.#options = options;
    let asked: Promise<string> | undefined;
    // A person is asked once, however many descriptors there are.
    this.#credentials = { encryption, password: () => (asked ??= password()) };
  }

  /** Undefined: there is none, and none was. Throws what is wrong with the one that stands there. */
  async find(): Promise<Opened | undefined> {
    const { store, call, onWarning } = this.#options;
    let current: Buffer | undefined;
    let failure: unknown;
    try {
      current = await getIfThere(store, descriptorKey, call);
      if (current !== undefined) return await this.open(current);
    } catch (error) {
      if (!isOfDescriptor(error)) throw error;
      failure = error;
    }
    for (const bytes of await storedDescriptors(store, call)) {
      if (current?.equals(bytes) === true) continue;
      try {
        const opened = await this.open(bytes);
        // Another machine may have made it just now.
        if ((await getIfThere(store, descriptorKey, call).catch(() => undefined))?.equals(bytes) !== true)
          onWarning?.(
            'rrbackup.json was deleted or written over in the store; its earlier version is used, and rrbackup recover puts ' +
              'it back: find out who did that',
          );
        return opened;
      } catch (error) {
        if (!isOfDescriptor(error)) throw error;
      }
    }
    if (failure !== undefined) throw failure;
    return undefined;
  }

  /** Throws what is wrong with these bytes, or with the password. */
  async open(bytes: Buffer): Promise<Opened> {
    const { store, memory, unlocker, call } = this.#options;
    const descriptor = parseDescriptor(bytes);
    checkIdentity(descriptor, memory, this.#credentials, store);
    const slots = descriptor.encryption === 'none' ? noSlots : await (this.#slots ??= readSlots(store, call));
    const { secret, slot } = await secretOf(descriptor, slots, this.#credentials, unlocker);
    const keys = deriveKeys(secret);
    verifyDescriptor(descriptor, keys);
    return { bytes, descriptor, secret, slot, keys };
  }
}

/** Not of the store, of a newer program, or of the person who has interrupted. */
function isOfDescriptor(error: unknown): boolean {
  return (
    error instanceof RrbackupError && ['damaged', 'tampered', 'wrong_password', 'usage'].includes(error.kind)
  );
}

export async function secretOf(
  { encryption, repository: repositoryId }: Descriptor,
  { slots, unread }: StoredSlots,
  { password }: Credentials,
  unlocker: Unlocker | undefined,
): Promise<{ secret: Buffer; slot: StoredSlot | undefined }> {
  if (encryption === 'none' || unlocker === undefined)
    return { secret: publicSecret(repositoryId), slot: undefined };
  const given = slots.length === 0 ? '' : await password();
  return unlocker.unlock({ slots, unread, password: given, repositoryId });
}

function checkIdentity(
  descriptor: Descriptor,
  memory: Memory | undefined,
  { encryption }: Credentials,
  store: ObjectStore,
): void {
  if (memory !== undefined && memory.repositoryId !== descriptor.repository) {
    throw new RrbackupError({
      code: 'repository.replaced',
      kind: 'tampered',
      message:
        `the repository at ${store.location} is ${descriptor.repository}, but this machine remembers ` +
        `${memory.repositoryId} there: somebody has put another one in its place`,
      guidance:
        'if you did that yourself, run rrbackup init --adopt to accept it; where only rrbackup.json was changed, rrbackup recover ' +
        'makes it anew; otherwise find out who did before going on',
    });
  }
  if (descriptor.encryption !== encryption) {
    const [written, wanted] =
      descriptor.encryption === 'none' ? ['not encrypted', 'a password'] : ['encrypted', 'encryption = none'];
    throw new RrbackupError({
      code: 'repository.encryption_differs',
      kind: 'usage',
      message: `the repository at ${store.location} is ${written}, but the configuration says ${wanted}`,
      guidance:
        descriptor.encryption === 'none'
          ? 'write encryption = none into [main] if that is what you want; otherwise this is not your repository'
          : 'remove encryption = none and give the password',
    });
  }
}
