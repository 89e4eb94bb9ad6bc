// Small objects that would fill the memory of whoever believes them: refused in words, by a process that stays small, whatever
// unpacks them. Everything is sealed with the right keys, so nothing but the checks of lengths and counts stands in the way. And
// objects that are as full as the format allows: read by a process that stays as small.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { loadZstd, type Zstd } from '../../lib/compression/index.js';
import { deriveKeys } from '../../lib/crypto/index.js';
import { createSlot, encodeDescriptor } from '../../lib/keys/index.js';
import { packContext, repositoryId } from '../pack/fixture.js';
import { scratchDirectory } from '../trees.js';
import { commitBombs, groups, packBombs, slotBombs } from './bombs.js';

const child = fileURLToPath(new URL('./bombs-child.js', import.meta.url));
const most_kB = 256 * 1024;
const GiB = 2 ** 30;

const context = await packContext();
const bombs = scratchDirectory(t);
const write = (reader: string, all: Readonly<Record<string, Buffer>>): void => {
  for (const [name, bytes] of Object.entries(all))
    fs.writeFileSync(path.join(bombs, `${reader}-${name}`), bytes);
};
write('pack', packBombs(context));
write('commit', commitBombs(context));
write('slot', slotBombs(repositoryId));

/** A repository with objects of 4 GiB that take no space on the disk. */
function place(name: string, huge: (secret: Buffer) => string[]): void {
  const at = (key: string): string => path.join(bombs, `place-${name}`, key);
  const secret = Buffer.alloc(32, 3);
  for (const directory of ['', 'keys']) fs.mkdirSync(at(directory), { recursive: true });
  const fields = { repository: repositoryId, encryption: 'password', conditionalCreate: true } as const;
  const created = '2026-11-21T00:00:00Z';
  fs.writeFileSync(at('rrbackup.json'), encodeDescriptor({ ...fields, created }, deriveKeys(secret)));
  const kdf = { ops: 1, memory_bytes: 32 * 2 ** 20 };
  const { id, bytes } = createSlot({ secret, password: 'password', repositoryId, name: 'a@b', created, kdf });
  fs.writeFileSync(at(`keys/${id}`), bytes);
  for (const key of huge(secret)) {
    const file = at(key === 'slot' ? `keys/${id}` : key);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, '');
    fs.truncateSync(file, 4 * GiB);
  }
}
place('with a descriptor of 4 GiB', () => ['rrbackup.json']);
place('with a key slot of 4 GiB', () => ['slot']);

const bindings = new Set<Zstd['name']>();
for (const name of ['libzstd', 'node:zlib', 'wasm'] as const) bindings.add((await loadZstd(name)).name);

/** What becomes of that which is no more than the format allows. */
const allowed = new Set(['accepted', 'keys.wrong_password']);

interface Report {
  readonly outcomes: readonly {
    bomb: string;
    kind?: string;
    code: string;
    message: string;
    peak_kB: number;
  }[];
}

const skip = process.platform === 'linux' ? false : 'the peak of memory is asked of /proc';

const files = fs.readdirSync(bombs);

function expectSmall(t: Test, binding: string, only: string, expected: number): void {
  const options = { encoding: 'utf8', timeout: 120_000 } as const;
  const said = execFileSync(process.execPath, ['--expose-gc', child, bombs, binding, only], options);
  const { outcomes } = JSON.parse(said) as Report;
  t.equal(outcomes.length, expected);
  for (const { bomb, kind, code, message, peak_kB } of outcomes) {
    const isRefused = kind === 'damaged' || kind === 'tampered' || kind === 'newer_format';
    const isRight = bomb.startsWith('full of') ? allowed.has(code) : isRefused && message.length > 10;
    t.ok(isRight, `${bomb}: ${code} (${String(kind)}), ${message}`);
    t.ok(peak_kB < most_kB, `${bomb}: ${Math.round(peak_kB / 1024)} MiB at the most`);
  }
}

const isFull = (file: string): boolean => file.includes('full of');

for (const [index, binding] of [...bindings].entries()) {
  for (const [only, isIn] of Object.entries(groups)) {
    if (index > 0 && only !== 'frames') continue;
    void t.test(`${only}, unpacked by ${binding}`, { skip }, (t) => {
      expectSmall(t, binding, only, files.filter((file) => isIn(file) && !isFull(file)).length);
      t.end();
    });
  }
}

// Each in a process of its own: memory that another one has used would count.
for (const file of files.filter(isFull)) {
  void t.test(file, { skip }, (t) => {
    expectSmall(t, [...bindings][0]!, file, 1);
    t.end();
  });
}
