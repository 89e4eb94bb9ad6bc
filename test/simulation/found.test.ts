// What the simulator has found, each as small as it can be.

import t from 'tap';
import { ChainReader } from '../../lib/manifest/chain.js';
import { CommitWriter } from '../../lib/manifest/commit.js';
import { commitKey } from '../../lib/manifest/names.js';
import { backup } from '../../lib/index.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { RetryStore } from '../../lib/store/retry.js';
import type { Call, GetOptions, StoredObject } from '../../lib/store/types.js';
import {
  added,
  headerOf,
  manifestContext,
  readHistory,
  restless,
  stream,
  writeHistory,
} from '../manifest/fixture.js';
import { Machine } from '../repository/fixture.js';

void t.test('a listing that gives a page twice is the same listing', async (t) => {
  class Repeating extends MemoryStore {
    override async *list(prefix: string, options?: Call & { after?: string }): AsyncIterable<StoredObject> {
      const page: StoredObject[] = [];
      for await (const object of super.list(prefix, options)) page.push(object);
      yield* page.slice(0, 3);
      yield* page.slice(1, 3);
      yield* page.slice(1);
    }
  }
  const store = new Repeating();
  const context = await manifestContext(store);
  const hashes = await writeHistory(context, 5);
  const reading = { ...context, store: new RetryStore(store) as unknown as MemoryStore };
  t.strictSame((await readHistory(reading)).hashes, hashes);
});

void t.test('another writer withdraws its commit while ours looks at it: ours stands', async (t) => {
  class Withdrawing extends MemoryStore {
    foreign = '';
    override async get(key: string, options?: GetOptions): Promise<Buffer> {
      if (options?.versionId === this.foreign) await this.remove(key, this.foreign);
      return super.get(key, options);
    }
  }
  const store = new Withdrawing({ ignoresIfNoneMatch: true });
  store.conditionalCreate = false;
  const context = await manifestContext(store);
  const publish = async (of: typeof context, name: string) => {
    const writer = new CommitWriter({ ...of, stream });
    await writer.addRow(added(name));
    return writer.publish(headerOf(1, ''));
  };
  // As long as ours, to the byte: only a look tells whose it is.
  const bytes = Buffer.alloc((await publish(await manifestContext(), 'b')).size_bytes);
  store.foreign = (await store.put(commitKey(stream, 1), bytes)).versionId;
  const { hash } = await publish(context, 'a');
  const first = await new ChainReader(context, restless).commits(stream).next();
  t.equal(first.value?.hash, hash);
});

void t.test('another machine makes the repository while this one looks for it', async (t) => {
  class Meanwhile extends MemoryStore {
    act: (() => Promise<unknown>) | undefined;
    override async *list(prefix: string, options?: Call & { after?: string }): AsyncIterable<StoredObject> {
      const { act } = this;
      this.act = undefined;
      await act?.();
      yield* super.list(prefix, options);
    }
  }
  const store = new Meanwhile();
  const [first, second] = [new Machine(t, store), new Machine(t, store)];
  first.write('file', 'of the first');
  let made = '';
  store.act = async () => {
    const repository = await first.open();
    await backup(repository, first.source);
    made = repository.id;
  };
  t.equal((await second.open()).id, made);
});
