import t from 'tap';
import type { RrbackupError } from '../../lib/errors/index.js';
import { shortBody, transient } from '../../lib/store/failures.js';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { RetryStore, type RetryNote, type RetryOptions } from '../../lib/store/retry.js';
import type { StoredObject } from '../../lib/store/types.js';

/** A store with faults under a retry whose sleeps take no time but move the clock. */
function retrying(options: RetryOptions = {}, faulty = new FaultStore(new MemoryStore())) {
  const notes: RetryNote[] = [];
  let now_ms = 0;
  const store = new RetryStore(faulty, {
    clock: { now_ns: () => 0n, monotonic_ms: () => now_ms },
    sleep: (delay_ms) => {
      now_ms += delay_ms;
      return Promise.resolve();
    },
    random: () => 0.5,
    onRetry: (note) => notes.push(note),
    ...options,
  });
  return { store, faulty, notes };
}

async function codeOf(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => 'fine',
    (error: unknown) => (error as RrbackupError).code,
  );
}

t.test('what passes is tried again, longer and longer apart', async (t) => {
  const { store, faulty, notes } = retrying();
  faulty.add({ operation: 'put', nth: 1, times: 9, kind: 'before' });
  await store.put('key', Buffer.from('x'));
  t.equal((await store.get('key')).toString(), 'x');
  t.same(
    notes.map((note) => note.delay_ms),
    [188, 375, 750, 1500, 3000, 3750, 3750, 3750, 3750],
  );
  t.match(notes[0], { operation: 'put', key: 'key', attempt: 1, error: { code: 'store.transient' } });
});

t.test('a line that is dead for a minute is waited for, and not much longer', async (t) => {
  let now_ms = 0;
  const clock = { now_ns: () => 0n, monotonic_ms: () => now_ms };
  class Offline extends FaultStore {
    override async put(key: string, bytes: Uint8Array): Promise<{ versionId: string }> {
      if (now_ms < 60_000) throw transient('nothing listens');
      return super.put(key, bytes);
    }
  }
  const sleep = (delay_ms: number): Promise<void> => {
    now_ms += delay_ms;
    return Promise.resolve();
  };
  const { store } = retrying({ clock, sleep, random: () => 0.999 }, new Offline(new MemoryStore()));
  await store.put('key', Buffer.from('x'));
  t.ok(now_ms >= 60_000 && now_ms <= 65_000, `${now_ms} ms`);
});

t.test('short bodies are asked for again', async (t) => {
  const { store, faulty } = retrying();
  await store.put('key', Buffer.from('x'));
  faulty.add({ operation: 'get', nth: 1, kind: 'short' });
  t.equal((await store.get('key')).toString(), 'x');
});

t.test('a body that is short in the same way three times is damage', async (t) => {
  const { store, faulty, notes } = retrying();
  await store.put('key', Buffer.from('x'));
  faulty.add({ operation: 'get', nth: 1, times: Infinity, kind: 'short' });
  await t.rejects(store.get('key'), {
    code: 'store.truncated',
    kind: 'damaged',
    exitStatus: 13,
    message: /key in memory is damaged: it has 1 bytes where 2 belong/,
    guidance: /check --read-data/,
  });
  t.equal(notes.length, 2);
});

t.test('without a network the first one is', async (t) => {
  const { store, faulty, notes } = retrying({ equalAnswers: 1 });
  await store.put('key', Buffer.from('x'));
  faulty.add({ operation: 'get', nth: 1, kind: 'short' });
  t.equal(await codeOf(store.get('key')), 'store.truncated');
  t.same(notes, []);
  faulty.add({ operation: 'get', nth: 1, kind: 'before' });
  t.equal((await store.get('key')).toString(), 'x', 'what passes is waited for all the same');
});

t.test('bodies that are short in different ways come over a bad line', async (t) => {
  const lengths = [5, 7, 5, 7, 7, 0, 5, 5];
  class BadLine extends MemoryStore {
    override get(key: string): Promise<Buffer> {
      const length = lengths.shift();
      return length === undefined ? super.get(key) : Promise.reject(shortBody('memory', key, 9, length));
    }
  }
  const { store, notes } = retrying({}, new FaultStore(new BadLine()));
  await store.put('key', Buffer.from('all of it'));
  t.equal((await store.get('key')).toString(), 'all of it');
  t.equal(notes.length, 8);
});

t.test('the time is bounded', async (t) => {
  const { store, faulty } = retrying({ patience_ms: 1000 });
  faulty.add({ nth: 1, times: Infinity, kind: 'before' });
  t.equal(await codeOf(store.get('key')), 'store.transient');
  t.equal(faulty.calls.length, 3, 'after 188 and 375 ms, the next would be too late');
});

t.test('what is final is not tried again', async (t) => {
  const { store, faulty, notes } = retrying();
  t.equal(await codeOf(store.get('nowhere')), 'store.missing');
  faulty.add({ operation: 'put', nth: 1, kind: 'before', error: new RangeError('a bug') });
  await t.rejects(store.put('key', Buffer.from('x')), RangeError);
  t.equal(faulty.calls.length, 2);
  t.same(notes, []);
});

t.test('a lost answer does no harm', async (t) => {
  const { store, faulty } = retrying();
  for (const operation of ['put', 'create', 'remove'] as const)
    faulty.add({ operation, nth: 1, kind: 'after' });
  const created = await store.create('commit', Buffer.from('x'));
  t.equal((await store.get('commit', created)).toString(), 'x');
  await store.put('pack', Buffer.from('y'));
  t.equal((await store.get('pack')).toString(), 'y');
  await store.remove('commit', created.versionId);
  t.equal(await store.stat('commit'), undefined);
});

t.test('an abort ends the waiting', async (t) => {
  const faulty = new FaultStore(new MemoryStore(), [{ nth: 1, times: Infinity, kind: 'before' }]);
  const stop = new AbortController();
  const store = new RetryStore(faulty, { onRetry: () => stop.abort() });
  t.equal(await codeOf(store.get('key', { signal: stop.signal })), 'interrupted');
  t.equal(faulty.calls.length, 1);
});

t.test('a listing that breaks off goes on where it was', async (t) => {
  const memory = new MemoryStore();
  for (let index = 0; index < 20; index++) {
    for (let version = 0; version <= index % 3; version++) {
      await memory.put(`key/${index.toString().padStart(2, '0')}`, Buffer.from('x'));
    }
  }
  const whole: StoredObject[] = [];
  for await (const object of memory.list('key/', { after: 'key/02' })) whole.push(object);
  /** Breaks off after every second object. */
  class Brittle extends FaultStore {
    override async *list(prefix: string, options: { after?: string } = {}): AsyncIterable<StoredObject> {
      let count = 0;
      for await (const object of memory.list(prefix, options)) {
        if (count === 4) throw count % 2 === 0 ? transient('broke off') : shortBody('memory', prefix, 1, 0);
        count++;
        yield object;
      }
    }
  }
  // Time for one repetition.
  const { store } = retrying({ patience_ms: 200 }, new Brittle(memory));
  const got: StoredObject[] = [];
  for await (const object of store.list('key/', { after: 'key/02' })) got.push(object);
  t.same(got, whole, 'every version once, in order, though each attempt brings a few only');
});

t.test('without progress a listing gives up', async (t) => {
  const { store, faulty } = retrying({ patience_ms: 2000 });
  faulty.add({ operation: 'list', nth: 1, times: Infinity, kind: 'before' });
  const all = async (): Promise<void> => {
    for await (const object of store.list('')) t.fail(object.key);
  };
  t.equal(await codeOf(all()), 'store.transient');
  t.equal(faulty.calls.length, 4);
});

t.test('passes on location and belief', async (t) => {
  const { store, faulty } = retrying();
  t.equal(store.location, 'memory');
  store.conditionalCreate = false;
  t.equal(faulty.conditionalCreate, false);
  await store.prepare({ note: (message) => t.fail(message) });
  t.equal(await store.probeConditionalCreate(), true);
  t.equal(store.conditionalCreate, false);
  t.same(await store.listPrefixes(''), []);
  await store.close();
});
