// Scenario 3 of TESTING.md on the wire: each request of each call to an S3 server is answered in every wrong way. What comes of
// the call is what it says, or an error of the store, within the idle timeout; and tried again, what it says. What a backup makes
// of each of its calls that fails so is told by simulation/walk.

import t from 'tap';
import { RrbackupError } from '../../lib/errors/index.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { RetryStore } from '../../lib/store/retry.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { answering, type Handler, page, s3Error, storeAt } from './http-server.js';
import { serving } from './memory-server.js';

/** Without a byte; a client that waits for longer hangs. */
const idle_ms = 200;

/** Sends half of what it should, and then nothing, or the end of the connection. */
const half =
  (serve: Handler, ending: 'hangs' | 'breaks off'): Handler =>
  (request, response, body) => {
    const writeHead = response.writeHead.bind(response) as (status: number, headers: object) => unknown;
    const end = response.end.bind(response);
    let head: [number, object] = [200, {}];
    response.writeHead = ((...given: typeof head) => {
      head = given;
      return response;
    }) as typeof response.writeHead;
    response.end = ((bytes: string | Buffer = '') => {
      writeHead(head[0], { 'content-length': Buffer.byteLength(bytes), ...head[1] });
      if (bytes.length === 0) return end();
      response.write(bytes.slice(0, bytes.length >> 1));
      if (ending === 'breaks off') setImmediate(() => response.destroy());
      return response;
    }) as typeof response.end;
    serve(request, response, body);
  };

const fates: Readonly<Record<string, (serve: Handler) => Handler>> = {
  '500': () => s3Error(500, 'InternalError'),
  '503': () => s3Error(503, 'SlowDown'),
  '409': () => s3Error(409, 'ConditionalRequestConflict'),
  '412': () => s3Error(412, 'PreconditionFailed'),
  'a reset': () => (request) => void request.socket.destroy(),
  'a reset after its effect': (serve) => (request, response, body) => {
    response.writeHead = () => response;
    response.end = () => {
      request.socket.destroy();
      return response;
    };
    serve(request, response, body);
  },
  'no answer': () => () => undefined,
  'a 200 with an error inside': () =>
    page(200, '<?xml version="1.0"?><Error><Code>InternalError</Code></Error>', {
      'x-amz-request-id': 'tx1',
    }),
  'a 200 with nothing inside': () => page(200, '', { 'x-amz-request-id': 'tx1' }),
  'a short body': (serve) => half(serve, 'breaks off'),
  'a body that hangs': (serve) => half(serve, 'hangs'),
};

const old = Buffer.from('what is there');
const fresh = Buffer.from('what comes');

/** A whole answer to another question: of bytes those who decode them find out, and no deletion has anything to show for it. */
const believed: Readonly<Record<string, readonly string[]>> = {
  get: ['a 200 with an error inside', 'a 200 with nothing inside'],
  remove: ['a 200 with nothing inside'],
};

/** What each call answers, and how the store is when it has said so. */
const calls: Readonly<
  Record<
    string,
    { call(store: ObjectStore): Promise<unknown>; answer(memory: MemoryStore): Promise<unknown> }
  >
> = {
  put: {
    call: async (store) => (await store.put('a/new', fresh)).versionId,
    answer: async (memory) => (await holds(memory, 'a/new'))?.versionId,
  },
  create: {
    call: async (store) => (await store.create('a/new', fresh)).versionId,
    answer: async (memory) => (await holds(memory, 'a/new'))?.versionId,
  },
  'create over another': {
    call: (store) => store.create('a/old', fresh).catch((error: unknown) => codeIf(error, 'store.exists')),
    answer: async (memory) => ((await memory.get('a/old')).equals(old) ? 'store.exists' : 'written over'),
  },
  get: {
    call: async (store) => String(await store.get('a/old')),
    answer: () => Promise.resolve(String(old)),
  },
  'get of a range': {
    call: async (store) => String(await store.get('a/old', { range: { offset: 5, length: 4 } })),
    answer: () => Promise.resolve(String(old.subarray(5, 9))),
  },
  stat: {
    call: async (store) => (await store.stat('a/old'))?.size_bytes,
    answer: () => Promise.resolve(old.length),
  },
  'stat of nothing': { call: (store) => store.stat('a/none'), answer: () => Promise.resolve(undefined) },
  list: { call: keys, answer: keys },
  listPrefixes: {
    call: (store) => store.listPrefixes('b/'),
    answer: (memory) => memory.listPrefixes('b/'),
  },
  remove: {
    call: async (store) => {
      await store.remove('a/gone', (await newest(store, 'a/gone')) ?? 'gone');
      return undefined;
    },
    answer: (memory) => newest(memory, 'a/gone'),
  },
  prepare: {
    call: (store) => store.prepare({ note: () => undefined }),
    answer: () => Promise.resolve(undefined),
  },
};

async function keys(store: ObjectStore): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.list('b/')) found.push(key);
  return found;
}

const newest = async (store: ObjectStore, key: string) => (await store.stat(key))?.versionId;

async function holds(memory: MemoryStore, key: string) {
  const stored = await memory.stat(key);
  return stored && (await memory.get(key)).equals(fresh) ? stored : undefined;
}

function codeIf(error: unknown, code: string): string {
  if (error instanceof RrbackupError && error.code === code) return code;
  throw error;
}

async function filled(): Promise<MemoryStore> {
  const memory = new MemoryStore();
  for (const key of ['a/old', 'a/gone', 'b/1/x', 'b/2/x', 'b/3/x']) await memory.put(key, old);
  return memory;
}

for (const [name, { call, answer }] of Object.entries(calls)) {
  void t.test(name, async (t) => {
    let serve = serving(await filled());
    let fate = serve;
    let left = 0;
    const server = await answering(t, (...given) => (--left === 0 ? fate : serve)(...given));
    const store = storeAt(t, server.endpoint, {}, idle_ms);
    const patient = new RetryStore(store, { sleep: () => Promise.resolve() });
    for (const [what, spoil] of Object.entries(fates)) {
      for (const isPatient of [false, true]) {
        for (let nth = 1; ; nth++) {
          const memory = await filled();
          serve = serving(memory);
          fate = spoil(serve);
          left = nth;
          const at = `${what} to request ${nth}${isPatient ? ', tried again' : ''}`;
          try {
            const answered = await call(isPatient ? patient : store);
            if (!believed[name]?.includes(what)) t.same(answered, await answer(memory), at);
          } catch (error) {
            const { kind, code } = error as RrbackupError;
            // What is tried again comes to its end; what no server says to such a request is not tried again.
            const isSaid = kind === 'store' && (!isPatient || code !== 'store.transient');
            t.ok(isSaid, `${at}: ${code}`);
          }
          if (left > 0) break;
        }
      }
    }
  });
}
