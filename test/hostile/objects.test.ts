// A store that answers with other objects than were written: cut, longer, exchanged, older, another repository's, or none. Each
// object in turn is what a machine gets that sees the repository for the first time. It is noticed, said in words, and whatever
// comes out is the truth. (A store rolled back or forked behind a machine's back: test/repository/open and test/manifest/chain.)

import t from 'tap';
import { ChainReader } from '../../lib/manifest/chain.js';
import { footer_bytes } from '../../lib/pack/layout.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import type { StoredObject } from '../../lib/store/types.js';
import { collect, headerOf, writeCommit } from '../manifest/fixture.js';
import { kinds, type Kind, look, newWorld, objectsOf, scrub, surpriseOf } from './world.js';

const world = await newWorld(t);
const other = await newWorld(t, 2);
const { store } = world;

const names: Readonly<Record<Kind, RegExp>> = {
  descriptor: /rrbackup\.json|repository/,
  pack: /pack [0-9a-f]{64}|packs\/[0-9a-f]{2}\/[0-9a-f]{64}/,
  commit: /version \d/,
  part: /version \d.*part [0-9a-f]{64}/,
  checkpoint: /checkpoint/,
};

const objects = new Map<Kind, { object: StoredObject; bytes: Buffer }[]>();
for (const kind of kinds) {
  const all = [];
  for (const object of await objectsOf(store, kind))
    all.push({ object, bytes: await store.get(object.key, { versionId: object.versionId }) });
  t.ok(all.length > 0, `${all.length} of kind ${kind}`);
  objects.set(kind, all);
}

/** Where an object is cut. (At every boundary: test/hostile/flips, test/pack/damage, test/manifest/commit.) */
function lengths(kind: Kind, bytes: Buffer): number[] {
  // The last byte of the descriptor says nothing: it ends the line.
  const cuts = [0, bytes.length - (kind === 'descriptor' ? 2 : 1)];
  return kind === 'pack' ? [...cuts, bytes.length - footer_bytes] : cuts;
}

/** The store is changed for as long as it is looked at. */
async function expectNoticed(
  t: Tap,
  kind: Kind,
  what: string,
  change: (changed: MemoryStore) => Promise<void> | void,
): Promise<void> {
  const changed = store.copy();
  await change(changed);
  const { said, surprises, whole } = await look(t, world, changed);
  t.strictSame(surprises, [], what);
  const error = kind === 'descriptor' ? undefined : await scrub(world, changed);
  const surprise = error === undefined ? undefined : surpriseOf(error);
  t.equal(surprise, undefined, `${what}: ${String(surprise)}`);
  const isNoticed =
    names[kind].test(said) || (error !== undefined && names[kind].test((error as Error).message));
  t.ok(isNoticed, `${what} is noticed and named`, { said, error });
  // What is not needed to read is not needed.
  if (kind === 'checkpoint') t.strictSame(whole, [1, 2, 3], what);
  if (kind === 'descriptor') t.strictSame(whole, [], what);
}
type Tap = Parameters<typeof look>[0];

for (const kind of kinds) {
  void t.test(kind, async (t) => {
    const [{ object, bytes }] = [objects.get(kind)!.at(-1)!];
    const { key, versionId } = object;
    const put = (bytes: Uint8Array) => (changed: MemoryStore) => changed.tamper(key, bytes, versionId);
    t.equal((await look(t, world, store)).surprises.length, 0, 'intact');
    for (const length of lengths(kind, bytes))
      await expectNoticed(t, kind, `cut to ${length} of ${bytes.length}`, put(bytes.subarray(0, length)));
    const longer = kind === 'descriptor' ? Buffer.from('x') : Buffer.alloc(1);
    await expectNoticed(t, kind, 'one byte longer', put(Buffer.concat([bytes, longer])));
    if (kind !== 'checkpoint')
      await expectNoticed(t, kind, 'withheld', (changed) => changed.remove(key, versionId));
    const [foreign] = await objectsOf(other.store, kind);
    const foreignBytes = await other.store.get(foreign!.key, { versionId: foreign!.versionId });
    await expectNoticed(t, kind, "another repository's", put(foreignBytes));
    for (const { object, bytes: twin } of objects.get(kind)!.slice(0, -1)) {
      await expectNoticed(t, kind, `as ${object.key}`, (changed) => {
        changed.tamper(key, twin, versionId);
        changed.tamper(object.key, bytes, object.versionId);
      });
    }
    const otherKind = kinds[(kinds.indexOf(kind) + 1) % kinds.length]!;
    const stranger = objects.get(otherKind)![0]!.bytes;
    await expectNoticed(t, kind, `a ${otherKind} in its place`, put(stranger));
  });
}

void t.test(
  'delete markers over everything, and garbage over everything: all versions come out',
  async (t) => {
    for (const harm of ['hide', 'overwrite'] as const) {
      const changed = store.copy();
      for (const kind of kinds) {
        if (kind === 'descriptor') continue;
        for (const { object } of objects.get(kind)!)
          if (harm === 'hide') changed.hide(object.key);
          else await changed.put(object.key, Buffer.from('garbage'));
      }
      const { whole, surprises } = await look(t, world, changed);
      t.strictSame([whole, surprises], [[1, 2, 3], []], harm);
    }
  },
);

void t.test('two heads: neither is taken', async (t) => {
  const { stream, context } = world;
  const [changed, forked] = [world.stores[1]!.copy(), world.stores[1]!.copy()];
  const [, head] = await collect(new ChainReader({ ...context, store: forked }).commits(stream));
  await writeCommit({ ...context, store: forked }, headerOf(3, head!.hash, { stream }));
  for (const from of [store, forked]) {
    const { key, versionId } = (await objectsOf(from, 'commit')).find(({ key }) => key.endsWith('3'))!;
    await changed.put(key, await from.get(key, { versionId }));
  }
  const { said, surprises, whole } = await look(t, world, changed);
  t.strictSame(surprises, []);
  t.match(said, /another history|does not go with the history/);
  t.notOk(whole.includes(3));
});
