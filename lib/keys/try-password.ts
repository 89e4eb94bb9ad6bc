// Tries a password on the key slots of a repository, in the calling thread, which it keeps busy and whose memory it fills: see
// unlock.ts. One slot that is damaged or foreign does not keep the others from opening.

import { damaged, RrbackupError, toRrbackupError } from '../errors/index.js';
import { openParsedSlot, parseSlot } from './slots.js';
import type { KeySlot } from './slots.js';
import type { Unlocked, UnlockOptions } from './unlock.js';

interface Readable {
  readonly slot: KeySlot;
  /** In what was given. */
  readonly index: number;
}

/** Errors as `Unlocker.unlock`. Needs cryptoReady. */
export function tryPassword(options: UnlockOptions): Unlocked {
  const { readable, problems } = readSlots(options);
  for (const { slot, index } of readable) {
    const secret = openParsedSlot(slot, options.password);
    if (secret !== undefined) return { secret, index };
  }
  if (readable.length === 0) throw problems[0] ?? noSlots();
  const ids = new Set(readable.map(({ slot }) => slot.slot)).size;
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

function noSlots(): RrbackupError {
  return new RrbackupError({
    code: 'keys.none',
    kind: 'damaged',
    message: 'the repository has no key slots: nothing is left under keys/',
    guidance: 'bring them back, or open it with an exported key: rrbackup recover --key-file FILE',
  });
}

/** Cheapest first, so that a slot planted to cost time is tried after the right one. */
function readSlots(options: UnlockOptions): { readable: Readable[]; problems: RrbackupError[] } {
  const readable: Readable[] = [];
  const problems: RrbackupError[] = [];
  for (const [index, { key, bytes }] of options.slots.entries()) {
    try {
      const slot = parseSlot(bytes, options.repositoryId);
      if (key !== `keys/${slot.slot}`)
        throw damaged('keys.damaged', `the key slot at ${key} is that of another place`);
      readable.push({ slot, index });
    } catch (error) {
      problems.push(toRrbackupError(error));
    }
  }
  const work = ({ slot: { cost } }: Readable): number => cost.ops * cost.memory_bytes;
  return { readable: readable.sort((a, b) => work(a) - work(b)), problems };
}
