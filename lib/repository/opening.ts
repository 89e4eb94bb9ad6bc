// What opened the repository the last time: the descriptor and the key slot, as this machine remembers them. With them a
// password is at work before the store has said a word; they are held against the store meanwhile, so that a repository
// whose descriptor or key slots are gone is noticed while there is somebody who can still open it.

import fs from 'node:fs';
import path from 'node:path';
import { RrbackupError } from '../errors/index.js';
import { descriptorKey, isStored, type StoredSlot } from '../keys/index.js';
import { maximumJson_bytes } from '../keys/json.js';
import { readOwnFile } from '../posix/small-file.js';
import type { Call, ObjectStore } from '../store/types.js';

export interface Opening {
  /** The bytes of rrbackup.json. */
  readonly descriptor: Buffer;
  /** The slot that the password opened; undefined where there is no password. */
  readonly slot: StoredSlot | undefined;
  /** Which of the two was held against the store last. */
  readonly checkedLast: 'descriptor' | 'slot';
  /** The streams of this host's sources, by name: known here before the keys are. */
  readonly streams: Readonly<Record<string, string>>;
}

const fileName = 'opening.json';

/** As it stands in the file, if this program wrote it. */
interface Remembered {
  readonly descriptor: string;
  readonly slot?: { readonly key: string; readonly versionId: string; readonly bytes: string };
  readonly checkedLast: Opening['checkedLast'];
  readonly streams?: Opening['streams'];
}

const isText = (value: unknown): boolean => typeof value === 'string';
const isSlotKey = (value: unknown): boolean =>
  typeof value === 'string' && /^keys\/[0-9a-f]{16}$/.test(value);

/** Undefined where nothing is remembered, or nothing that this program wrote: it is a copy of what the store holds. */
export function recallOpening(directory: string): Opening | undefined {
  try {
    const text = readOwnFile(path.join(directory, fileName));
    return text === undefined ? undefined : openingOf(JSON.parse(text) as Remembered);
  } catch {
    return undefined;
  }
}

function openingOf(json: Remembered): Opening | undefined {
  const { descriptor, slot, checkedLast, streams = {} } = json;
  const isOurs =
    typeof descriptor === 'string' &&
    (slot === undefined || (isSlotKey(slot.key) && [slot.versionId, slot.bytes].every(isText))) &&
    (checkedLast === 'descriptor' || checkedLast === 'slot') &&
    Object.values(streams).every(isText);
  if (!isOurs) return undefined;
  return {
    descriptor: Buffer.from(descriptor),
    slot: slot && { key: slot.key, versionId: slot.versionId, bytes: Buffer.from(slot.bytes) },
    checkedLast,
    streams,
  };
}

/** Does nothing where it cannot be written: the next run asks the store. */
export function rememberOpening(directory: string, opening: Opening): void {
  const { descriptor, slot } = opening;
  const text = JSON.stringify({
    ...opening,
    descriptor: descriptor.toString(),
    slot: slot && { ...slot, bytes: Buffer.from(slot.bytes).toString() },
  });
  const file = path.join(directory, fileName);
  const temporary = `${file}.${process.pid}.new`;
  try {
    fs.writeFileSync(temporary, text, { mode: 0o600 });
    fs.renameSync(temporary, file);
  } catch {
    fs.rm(temporary, () => undefined);
  }
}

/**
 * Whether the store still holds what is remembered, and what was looked at last. Where a commit costs a request more, because
 * the store's conditional create cannot be trusted, the two take turns: each is looked at in every second run.
 */
export async function holdAgainst(
  store: ObjectStore,
  { descriptor, slot, checkedLast }: Opening,
  call: Call,
): Promise<{ holds: boolean; checkedLast: Opening['checkedLast'] }> {
  const looks = {
    descriptor: () => isDescriptor(store, descriptor, call),
    slot: async () => slot === undefined || (await isStored(store, slot, call)),
  };
  if (store.conditionalCreate || slot === undefined) {
    const answers = await Promise.all([looks.descriptor(), looks.slot()]);
    return { holds: answers.every((answer) => answer), checkedLast };
  }
  const turn = checkedLast === 'slot' ? 'descriptor' : 'slot';
  return { holds: await looks[turn](), checkedLast: turn };
}

async function isDescriptor(store: ObjectStore, descriptor: Buffer, call: Call): Promise<boolean> {
  try {
    return (await getIfThere(store, descriptorKey, call))?.equals(descriptor) === true;
  } catch (error) {
    if (error instanceof RrbackupError && error.code === 'store.too_large') return false;
    throw error;
  }
}

export async function getIfThere(store: ObjectStore, key: string, call: Call): Promise<Buffer | undefined> {
  try {
    return await store.get(key, { ...call, most_bytes: maximumJson_bytes });
  } catch (error) {
    if (error instanceof RrbackupError && error.code === 'store.missing') return undefined;
    throw error;
  }
}
