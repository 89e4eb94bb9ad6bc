// From a password and the key slots that a store holds to the repository secret. One slot that is damaged or foreign does
// not keep the others from opening.

import { cryptoReady } from '../crypto/index.js';
import { damaged, RrbackupError, toRrbackupError } from '../errors/index.js';
import { openParsedSlot, parseSlot } from './slots.js';
import type { KeySlot } from './slots.js';

export interface StoredSlot {
  /** The object's key, keys/<slot>. */
  readonly key: string;
  readonly bytes: Uint8Array;
}

export interface UnlockOptions {
  /** Several versions of one slot may be among them. */
  readonly slots: readonly StoredSlot[];
  readonly password: string;
  readonly repositoryId: string;
}

/**
 * The repository secret (32 bytes; the caller wipes it when the keys are derived) and the id of the slot that gave it.
 * Errors: 'keys.wrong_password'; 'keys.none' if there is no slot at all; and where no slot is even readable, what is
 * wrong with the first of them.
 */
export async function unlock(options: UnlockOptions): Promise<{ secret: Buffer; slot: string }> {
  await cryptoReady();
  const { readable, problems } = readSlots(options);
  for (const slot of readable) {
    const secret = openParsedSlot(slot, options.password);
    if (secret !== undefined) return { secret, slot: slot.slot };
  }
  if (readable.length === 0)
    throw problems[0] ?? damaged('keys.none', 'the repository has no key slots: nothing is left under keys/');
  const ids = new Set(readable.map((slot) => slot.slot)).size;
  const unreadable = problems.length === 0 ? '' : ` (${problems.length} more are not readable)`;
  throw new RrbackupError({
    code: 'keys.wrong_password',
    kind: 'wrong_password',
    message: `wrong password: it opens none of the ${ids} key slots of this repository${unreadable}`,
    guidance:
      'give the password that the repository was made with, or one that was added with rrbackup key add',
    ...(problems.length === 0 ? {} : { cause: problems[0] }),
  });
}

/** Cheapest first, so that a slot planted to cost time is tried after the right one. */
function readSlots(options: UnlockOptions): { readable: KeySlot[]; problems: RrbackupError[] } {
  const readable: KeySlot[] = [];
  const problems: RrbackupError[] = [];
  for (const { key, bytes } of options.slots) {
    try {
      const slot = parseSlot(bytes, options.repositoryId);
      if (key !== `keys/${slot.slot}`)
        throw damaged('keys.damaged', `the key slot at ${key} is that of another place`);
      readable.push(slot);
    } catch (error) {
      problems.push(toRrbackupError(error));
    }
  }
  const work = ({ cost }: KeySlot): number => cost.ops * cost.memory_bytes;
  return { readable: readable.sort((a, b) => work(a) - work(b)), problems };
}
