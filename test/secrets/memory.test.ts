// A repository is opened with a password, and closed: what is left in the process's memory? Buffers with the password, the key made
// from it, the repository secret and its subkeys are overwritten. What is not promised: the password as a JavaScript string (the
// configuration's text and what was cut out of it), and copies of subkeys that threads were given (a backup, a restore, a mount):
// they go with the process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { cryptoReady, deriveKeys, passwordKey } from '../../lib/crypto/index.js';
import { readSlots, Unlocker } from '../../lib/keys/index.js';
import { parseSlot } from '../../lib/keys/slots.js';
import { openStore } from '../../lib/store/open.js';
import { scratchDirectory } from '../trees.js';

// In strings it is UTF-16, so that UTF-8 is found in buffers alone.
const password = 'пароль, den keiner errät: 你好 7391';
const window_bytes = 4 * 2 ** 20;
const longest_bytes = 256;

/** Which of the secrets lie in the memory of the process. */
function foundIn(pid: number, secrets: Readonly<Record<string, Buffer>>): string[] {
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
async function secretsOf(directory: string): Promise<Record<string, Buffer>> {
  await cryptoReady();
  const store = await openStore({ kind: 'directory', path: directory });
  const slots = await readSlots(store);
  await store.close();
  const { repository } = JSON.parse(fs.readFileSync(path.join(directory, 'rrbackup.json'), 'utf8')) as {
    repository: string;
  };
  const unlocker = new Unlocker();
  const { secret } = await unlocker.unlock({ slots, password, repositoryId: repository });
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

const skip = process.platform !== 'linux' || process.geteuid?.() !== 0 ? 'needs root on Linux' : false;

void t.test('what lies in memory', { skip }, async (t) => {
  const home = scratchDirectory(t);
  fs.mkdirSync(path.join(home, 'source'));
  fs.writeFileSync(path.join(home, 'password'), `${password}\n`, { mode: 0o600 });
  const repository = path.join(home, 'repository');
  fs.writeFileSync(
    path.join(home, 'ini'),
    `[main]\nbase_path: ${home}/source\npassword_file: ${home}/password\n[directory]\npath: ${repository}\n`,
    { mode: 0o600 },
  );
  const script = fileURLToPath(new URL('./memory-child.js', import.meta.url));
  const look = async (name: string) => {
    await t.test(name, async (t) => {
      const child = spawn(process.execPath, [script, home], { stdio: ['pipe', 'pipe', 'inherit'] });
      t.teardown(() => child.kill('SIGKILL'));
      const says = async (): Promise<string> =>
        String(((await once(child.stdout, 'data')) as [Buffer])[0]).trim();
      t.equal(await says(), 'open');
      const secrets = await secretsOf(repository);
      const whileOpen = foundIn(child.pid!, secrets);
      t.ok(whileOpen.includes('the repository secret'), 'the search finds what is there');
      t.notOk(whileOpen.includes('the password'), 'no password while it is open');
      t.notOk(whileOpen.includes('the key made from it'), 'nor the key made from it');
      child.stdin.write('\n');
      t.equal(await says(), 'closed');
      t.strictSame(foundIn(child.pid!, secrets), [], 'nothing once it is closed');
      child.stdin.end('\n');
    });
  };
  await look('made and opened');
  await look('opened again, by what this machine remembers');
});
