// A store that never ends a listing: whoever keeps what is listed gives up at a bound, in words, or takes what it needs and goes on.

import t from 'tap';
import { Inventory } from '../../lib/check/check-inventory.js';
import { storedDescriptors } from '../../lib/keys/descriptors.js';
import { removePassword } from '../../lib/keys/manage.js';
import { listGroups } from '../../lib/manifest/entrants.js';
import { commitKey } from '../../lib/manifest/names.js';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { probe } from '../../lib/store/probe.js';
import { versionsOf } from '../../lib/store/read-back.js';
import type { StoredObject } from '../../lib/store/types.js';

/** Lists for as long as somebody asks, up to what no bound may let through. */
class Endless extends MemoryStore {
  listed = 0;
  readonly #keyOf: (at: number) => string;

  constructor(keyOf: (at: number) => string) {
    super();
    this.#keyOf = keyOf;
  }

  override async *list(): AsyncIterable<StoredObject> {
    for (; this.listed < 1_000_000; this.listed++)
      yield {
        key: this.#keyOf(this.listed),
        versionId: `v${this.listed}`,
        size_bytes: 1,
        modified_ms: this.listed,
      };
    throw new Error('more is asked for than anybody needs');
  }
}

const stream = 'ab'.repeat(16);
const slot = '0123456789abcdef';
const repositoryId = 'cd'.repeat(16);
const tooMany = { code: 'store.too_many', kind: 'store', exitStatus: 15 };
const pack = (at: number): string => at.toString(16).padStart(64, '0');
const packKey = (at: number): string => `packs/00/${pack(at)}`;

t.test('versions of one object', async (t) => {
  await t.rejects(versionsOf(new Endless(() => 'key'), 'key'), tooMany);
  const key = commitKey(stream, 1);
  await t.rejects(listGroups({ store: new Endless(() => key) }, stream, 1).next(), tooMany);
  const slots = new Endless(() => `keys/${slot}`);
  await t.rejects(removePassword(slots, { slot, repositoryId }), tooMany);
});

t.test('what a check keeps', async (t) => {
  const run = {};
  await t.rejects(
    Inventory.take(new Endless(() => packKey(1)), run, () => true),
    tooMany,
    'versions of a pack that is known',
  );
  const known = new Endless(packKey);
  await t.rejects(
    Inventory.take(known, run, (name) => Number.parseInt(name, 16) < 50_000),
    { ...tooMany, guidance: /rrbackup versions/ },
  );
  t.ok(known.listed >= 250_000, 'packs that are known are as many as they are');
});

t.test('descriptors: the oldest are read', async (t) => {
  class Some extends Endless {
    override async *list(): AsyncIterable<StoredObject> {
      for await (const object of super.list()) {
        if (object.modified_ms === 10_000) return;
        yield { ...object, modified_ms: 20_000 - object.modified_ms };
      }
    }

    override get(_key: string, options: { versionId?: string } = {}): Promise<Buffer> {
      return Promise.resolve(Buffer.from(options.versionId!));
    }
  }
  const found = await storedDescriptors(new Some(() => 'rrbackup.json'), {});
  t.strictSame(
    found.map(String),
    Array.from({ length: 32 }, (_, index) => `v${9999 - index}`),
  );
});

t.test('a probe removes what it may have written, and no more', async (t) => {
  const store = new FaultStore(new Endless((at) => `probe-${at}`));
  t.equal(await probe(store), true);
  t.ok(store.calls.filter(({ operation }) => operation === 'remove').length <= 240);
});
