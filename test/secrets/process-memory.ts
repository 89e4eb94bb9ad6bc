// What lies in the memory of a process, which is what a core dump of it would hold, and what must not be found there.

import fs from 'node:fs';
import path from 'node:path';
import { cryptoReady, deriveKeys, passwordKey } from '../../lib/crypto/index.js';
import { readSlots, Unlocker } from '../../lib/keys/index.js';
import { parseSlot } from '../../lib/keys/slots.js';
import { openStore } from '../../lib/store/open.js';

// In strings it is UTF-16, so that UTF-8 is found in buffers alone.
export const password = 'пароль, den keiner errät: 你好 7391';
const window_bytes = 4 * 2 ** 20;
const longest_bytes = 256;

/** Which of the secrets lie in the memory of the process. */
export function foundIn(pid: number, secrets: Readonly<Record<string, Buffer>>): string[] {
  const found = new Set<string>();
  const memory = fs.openSync(`/proc/${pid}/mem`, 'r');
  const window = Buffer.alloc(window_bytes + longest_bytes);
  for (const line of fs.readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
    const [, from = '', to = '', mode = '', what = ''] =
      /^(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)$/.exec(line) ?? [];
    if (!mode.startsWith('rw') || what.startsWith('[v')) continue;
    const end = Number.parseInt(to, 16);
    for (let at = Number.parseInt(from, 16); at < end; at += window_bytes) {
      const bytes = readWindow(memory, window, at, end);
      for (const [name, secret] of Object.entries(secrets)) if (bytes.includes(secret)) found.add(name);
    }
  }
  fs.closeSync(memory);
  return [...found].sort();
}

function readWindow(memory: number, window: Buffer, at: number, end: number): Buffer {
  try {
    return window.subarray(0, fs.readSync(memory, window, 0, Math.min(window.length, end - at), at));
  } catch {
    // Not a page that can be read: a guard.
    return window.subarray(0, 0);
  }
}

/** Everything that opens the repository, as somebody with its password makes it. */
export async function secretsOf(directory: string): Promise<Record<string, Buffer>> {
  await cryptoReady();
  const store = await openStore({ kind: 'directory', path: directory });
  const { slots, unread } = await readSlots(store);
  await store.close();
  const { repository } = JSON.parse(fs.readFileSync(path.join(directory, 'rrbackup.json'), 'utf8')) as {
    repository: string;
  };
  const unlocker = new Unlocker();
  const { secret } = await unlocker.unlock({ slots, unread, password, repositoryId: repository });
  await unlocker.close();
  const slot = parseSlot(slots[0]!.bytes, repository);
  const subkeys = Object.entries(deriveKeys(secret)).map(([name, key]) => [
    `subkey ${name}`,
    Buffer.from(key as Buffer),
  ]);
  return {
    'the password': Buffer.from(password.normalize('NFC')),
    'the key made from it': Buffer.from(
      passwordKey(Buffer.from(password.normalize('NFC')), slot.salt, slot.cost),
    ),
    'the repository secret': secret,
    ...(Object.fromEntries(subkeys) as Record<string, Buffer>),
  };
}
