// Run by answers.test.ts: asks a server whose every bucket answers in another evil way, and says what came of it and how much memory
// this process had at the most.

import fs from 'node:fs';
import { RrbackupError } from '../../lib/index.js';
import { S3Store } from '../../lib/store/s3/index.js';

const [endpoint, ...asked] = process.argv.slice(2) as [string, ...string[]];

const calls: Readonly<Record<string, (store: S3Store) => Promise<unknown>>> = {
  list: (store) => store.list('')[Symbol.asyncIterator]().next(),
  names: (store) => store.listPrefixes('streams/'),
  prepare: (store) => store.prepare({ note: () => undefined }),
  put: (store) => store.put('key', Buffer.alloc(1)),
  remove: (store) => store.remove('key', 'v1'),
  get: (store) => store.get('key'),
  slot: (store) => store.get('key', { most_bytes: 16 * 1024 }),
  range: (store) => store.get('key', { range: { offset: 0, length: 100 } }),
};

interface Outcome {
  readonly kind: string | undefined;
  readonly code: string;
  readonly message: string;
  readonly peak_kB: number;
}

/** What it is at now becomes the peak of this process's memory. */
function forgetPeak(): void {
  globalThis.gc?.();
  fs.writeFileSync('/proc/self/clear_refs', '5');
}

function peak_kB(): number {
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)![1]);
}

const outcomes: Record<string, Outcome> = {};
for (const ask of asked) {
  const [call, bucket] = ask.split(' ') as [string, string];
  const keys = { accessKey: 'AKIDTEST', secretKey: 'the-secret' };
  const store = new S3Store({ kind: 's3', bucket, prefix: '', endpoint, ...keys });
  forgetPeak();
  try {
    await calls[call]!(store);
    outcomes[ask] = { kind: undefined, code: 'accepted', message: '', peak_kB: peak_kB() };
  } catch (error) {
    const { kind, code } = error instanceof RrbackupError ? error : { kind: undefined, code: 'a surprise' };
    outcomes[ask] = { kind, code, message: (error as Error).message, peak_kB: peak_kB() };
  }
  await store.close();
}
process.stdout.write(JSON.stringify(outcomes));
