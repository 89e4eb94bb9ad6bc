// Tries a password on the key slots of a repository, in the calling thread, which it keeps busy and whose memory it fills: see
// unlock.ts. One slot that is damaged or foreign does not keep the others from opening.

import { damaged, RrbackupError, toRrbackupError } from '../errors/index.js';
import { defaultCost, openParsedSlot, parseSlot, workOf } from './slots.js';
import type { KeySlot } from './slots.js';
import type { Unlocked, UnlockOptions } from './unlock.js';

interface Readable {
  readonly slot: KeySlot;
  /** In what was given. */
  readonly index: number;
}

/**
 * All work that one password is worth: that of 256 slots as we write them, half a minute of one core. Somebody who can write to
 * the store could otherwise have us work for as long as there are slots, each as dear as is allowed.
 */
const mostWork = 256 * workOf(defaultCost);

/** Errors as `Unlocker.unlock`. Needs cryptoReady. `open`: another in tests, which takes less time. */
export function tryPassword(options: UnlockOptions, open = openParsedSlot): Unlocked {
  const { readable, problems } = readSlots(options);
  let work = 0;
  let tried = 0;
  for (const { slot, index } of readable) {
    work += workOf(slot.cost);
    if (work > mostWork) break;
    tried++;
    const secret = open(slot, options.password);
    if (secret !== undefined) return { secret, index };
  }
  if (options.unread > 0 || tried < readable.length)
    throw flood({ tried, stored: options.slots.length + options.unread });
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

function flood({ tried, stored }: { tried: number; stored: number }): RrbackupError {
  return new RrbackupError({
    code: 'keys.flood',
    kind: 'tampered',
    message:
      `${stored} objects lie under keys/, more than any repository has: somebody has put them there, and the password opens ` +
      `none of the ${tried} key slots that were tried`,
    guidance:
      'find out who can write to this store, and remove from keys/ what is not yours; a machine that has opened the ' +
      'repository before still does, and an exported key opens it anywhere: rrbackup recover --key-file FILE',
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
  return { readable: readable.sort((a, b) => workOf(a.slot.cost) - workOf(b.slot.cost)), problems };
}
