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
      const readings = [rows(), packs(), storedRows!(shape), storedPacks!()];
      const results = await Promise.allSettled(readings.map((reading) => collect<unknown>(reading)));
      const refused = results.filter((result) => result.status === 'rejected');
      if (refused.length !== 2) throw new Error(`${refused.length} of two readers refuse it`);
      throw refused[0]!.reason;
    }
  },
  slot(bytes) {
    const slots = [{ key: 'keys/0123456789abcdef', versionId: '', bytes }];
    tryPassword({ slots, password: 'password', repositoryId });
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

interface Outcome {
  readonly bomb: string;
  readonly kind: string | undefined;
  readonly code: string;
  readonly message: string;
}

const outcomes: Outcome[] = [];
for (const file of fs.readdirSync(directory).sort()) {
  const [reader, bomb] = file.split('-', 2) as [string, string];
  const read = readers[reader];
  if (read === undefined || (reader === 'pack') !== (only === 'pack')) continue;
  const place = path.join(directory, file);
  // Each by itself: what the one before left behind would count.
  globalThis.gc?.();
  try {
    await read(reader === 'place' ? Buffer.alloc(0) : fs.readFileSync(place), place);
    outcomes.push({ bomb, kind: undefined, code: 'accepted', message: '' });
  } catch (error) {
    const known = error instanceof RrbackupError ? error : undefined;
    const { message } = error as Error;
    outcomes.push({ bomb, kind: known?.kind, code: known?.code ?? 'a surprise', message });
  }
}
const status = fs.readFileSync('/proc/self/status', 'utf8');
const peak_kB = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)![1]);
process.stdout.write(JSON.stringify({ binding: zstd.name, outcomes, peak_kB }));
