// Run by bombs.test.ts: reads the bombs that lie in a directory, one after another, with one binding of zstd, and says what came of
// each and how much memory this process had at the most.

import fs from 'node:fs';
import path from 'node:path';
import { loadZstd, type Zstd } from '../../lib/compression/index.js';
import { sha256 } from '../../lib/crypto/index.js';
import { openRepository, RrbackupError } from '../../lib/index.js';
import { tryPassword } from '../../lib/keys/try-password.js';
import { ChainReader } from '../../lib/manifest/chain.js';
import { commitKey } from '../../lib/manifest/names.js';
import { decodeRecords } from '../../lib/manifest/records.js';
import { packKey, readPackEnd, verifyPack } from '../../lib/pack/index.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { collect, stream } from '../manifest/fixture.js';
import { packContext, repositoryId } from '../pack/fixture.js';
import { groups, isGroup } from './bombs.js';

const [directory, binding, only] = process.argv.slice(2) as [string, Zstd['name'], string];
const zstd = await loadZstd(binding);
const context = { ...(await packContext()), zstd };

const readers: Readonly<Record<string, (bytes: Buffer, place: string) => unknown>> = {
  /** All of it is verified, and then its end alone is read: an error of either. */
  async pack(bytes) {
    const name = sha256(bytes).toString('hex');
    const store = new MemoryStore();
    await store.put(packKey(name), bytes);
    verifyPack(context, bytes, name);
    globalThis.gc?.();
    const stored = { name, versionId: '', size_bytes: bytes.length };
    const { info, records } = await readPackEnd({ ...context, store }, stored);
    decodeRecords(records, info);
  },
  async commit(bytes) {
    const store = new MemoryStore();
    await store.put(commitKey(stream, 1), bytes);
    const shape = { rows: 4096, room_bytes: 16 };
    for (const { rows, packs, storedRows, storedPacks } of await collect(
      new ChainReader({ ...context, store }).commits(stream),
    )) {
      const refusals: unknown[] = [];
      // One after another, as they are read.
      for (const read of [packs, storedPacks!, () => storedRows!(shape), rows])
        await collect<unknown>(read()).catch((error: unknown) => refusals.push(error));
      if (refusals.length !== 2) throw new Error(`${refusals.length} of two readers refuse it`);
      throw refusals[0];
    }
  },
  slot(bytes) {
    const slots = [{ key: 'keys/0123456789abcdef', versionId: '', bytes }];
    tryPassword({ slots, unread: 0, password: 'password', repositoryId });
  },
  /** A whole repository in a directory. */
  async place(_bytes, place) {
    const work = path.join(directory, 'work');
    await openRepository(
      {
        store: { kind: 'directory', path: place },
        encryption: 'password',
        password: () => Promise.resolve('password'),
        commitLocked: false,
        host: 'here',
        catalogPath: undefined,
        stateDirectory: path.join(work, 'state'),
        cacheDirectory: path.join(work, 'cache'),
      },
      { access: 'dry-run', note: () => undefined },
    );
  },
};

/** What it is at now becomes the peak of this process's memory: what the bomb before left behind would count. */
function forgetPeak(): void {
  globalThis.gc?.();
  fs.writeFileSync('/proc/self/clear_refs', '5');
}

function peak_kB(): number {
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)![1]);
}

interface Outcome {
  readonly bomb: string;
  readonly peak_kB: number;
  readonly kind: string | undefined;
  readonly code: string;
  readonly message: string;
}

/** `only`: one file, or a group; what is full of something is in none. */
function isAsked(file: string): boolean {
  if (!isGroup(only) || file.includes('full of')) return file === only;
  return groups[only](file);
}

const outcomes: Outcome[] = [];
for (const file of fs.readdirSync(directory).sort()) {
  const [reader, bomb] = file.split('-', 2) as [string, string];
  const read = readers[reader];
  if (read === undefined || !isAsked(file)) continue;
  const place = path.join(directory, file);
  forgetPeak();
  try {
    await read(reader === 'place' ? Buffer.alloc(0) : fs.readFileSync(place), place);
    outcomes.push({ bomb, kind: undefined, code: 'accepted', message: '', peak_kB: peak_kB() });
  } catch (error) {
    const known = error instanceof RrbackupError ? error : undefined;
    const { message } = error as Error;
    outcomes.push({
      bomb,
      kind: known?.kind,
      code: known?.code ?? 'a surprise',
      message,
      peak_kB: peak_kB(),
    });
  }
}
process.stdout.write(JSON.stringify({ binding: zstd.name, outcomes }));
