// Every bit of every object's header, and bytes anywhere in it: noticed by whoever reads the object, named in words, and never
// decoded into anything else. (test/pack/damage and test/manifest/commit do the same for every byte of a small pack and commit.)

import { randomInt } from 'node:crypto';
import t from 'tap';
import { objectHeader_bytes } from '../../lib/crypto/index.js';
import { RrbackupError, restore } from '../../lib/index.js';
import {
  createSlot,
  encodeDescriptor,
  openSlot,
  parseDescriptor,
  verifyDescriptor,
} from '../../lib/keys/index.js';
import { parseSlot } from '../../lib/keys/slots.js';
import { ChainReader } from '../../lib/manifest/chain.js';
import { partMagic, partTypes } from '../../lib/manifest/layout.js';
import { openObject, partBinding } from '../../lib/manifest/object.js';
import { packKey, readPackEnd } from '../../lib/pack/index.js';
import { footer_bytes, footerOffsets } from '../../lib/pack/layout.js';
import { collect } from '../manifest/fixture.js';
import { Machine } from '../repository/fixture.js';
import { runs } from '../runs.js';
import { describeTree, scratchDirectory } from '../trees.js';
import { type Kind, newWorld, objectsOf, surpriseOf } from './world.js';

const world = await newWorld(t);
const { store, stream, context, machine } = world;
/** What was right once would be remembered. */
const uncached = { configuration: { cacheSize_bytes: 0 } };

/** Bits, by number: all of the header, and `others` anywhere behind it. */
function* bitsOf(length: number, others: number): Generator<number> {
  for (let bit = 0; bit < objectHeader_bytes * 8; bit++) yield bit;
  for (let count = 0; count < others; count++) yield randomInt(objectHeader_bytes * 8, length * 8);
}

function flip(bytes: Buffer, bit: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped[bit >> 3]! ^= 1 << (bit % 8);
  return flipped;
}

/** Undefined if reading throws what is meant for people; what happened instead otherwise. */
async function surprise(read: () => unknown): Promise<string | undefined> {
  try {
    await read();
    return 'accepted';
  } catch (error) {
    return surpriseOf(error);
  }
}

const chain = new ChainReader(context);
const [first] = await collect(chain.commits(stream));
const second = (await collect(chain.commits(stream)))[1]!;

const readers: Partial<Record<Kind, () => Promise<unknown>>> = {
  commit: () =>
    collect(chain.commits(stream, { sequence: 2, hash: second.hash, versionId: second.versionId })),
  checkpoint: () => chain.checkpoint(stream, 3),
  part: () => collect(first!.rows()),
};

for (const [kind, read] of Object.entries(readers) as [Kind, () => Promise<unknown>][]) {
  void t.test(`${kind}: every bit of the header, others, and cut`, async (t) => {
    const all = await objectsOf(store, kind);
    const { key, versionId } =
      kind === 'part' ? all.find(({ key }) => key.endsWith(first!.parts[0]!.hash))! : all.at(-1)!;
    const intact = await store.get(key, { versionId });
    for (const bit of bitsOf(intact.length, runs(300).numRuns)) {
      const flipped = flip(intact, bit);
      store.tamper(key, flipped, versionId);
      const found = await surprise(read);
      if (found !== undefined) t.fail(`bit ${bit}`, { found });
      if (kind !== 'part') continue;
      const binding = partBinding(stream, partTypes.rows);
      // A part is known by its hash; what its seal says without that has to do as well.
      const openPart = (): unknown => openObject(context, partMagic, binding, flipped, 'a part');
      const unsealed = await surprise(openPart);
      if (unsealed !== undefined) t.fail(`bit ${bit}, by its seal`, { unsealed });
    }
    for (const length of [
      0,
      1,
      8,
      9,
      12,
      28,
      60,
      84,
      116,
      131,
      132,
      133,
      148,
      intact.length - 16,
      intact.length - 1,
    ]) {
      store.tamper(key, intact.subarray(0, length), versionId);
      t.equal(await surprise(read), undefined, `cut to ${length} bytes`);
    }
    store.tamper(key, intact, versionId);
    t.equal(await surprise(read), 'accepted', 'intact again');
  });
}

void t.test('pack: whatever is hit or cut off, every file that does not lie there comes out', async (t) => {
  const target = scratchDirectory(t);
  const reading = await new Machine(t, store).open({ access: 'read', create: 'never' }, uncached);
  const pack = (await collect(first!.packs()))[0]!;
  const key = packKey(pack.name);
  const intact = await store.get(key, { versionId: pack.versionId });
  const right = new Set(world.trees[0]);
  let offset = objectHeader_bytes;
  const blocks = pack.blocks.map(({ stored_bytes }) => ({ from: offset, end: (offset += stored_bytes) }));
  t.ok(blocks.length >= 3, `${blocks.length} blocks`);
  const ends = blocks.map(({ end }) => end);
  const directory_bytes = intact.readUInt32LE(intact.length - footer_bytes + footerOffsets.directoryLength);
  const directoryEnd = intact.length - footer_bytes;
  const spots = [
    5,
    30,
    100,
    ...ends.map((end) => end - 1),
    offset + 3,
    intact.length - 30,
    intact.length - 1,
    ...Array.from({ length: runs(12).numRuns }, () => randomInt(intact.length)),
  ];
  const headerEnds = [8, 12, 28, 60, 84, 116, objectHeader_bytes];
  const cuts = [0, ...headerEnds, ...ends, directoryEnd - directory_bytes, directoryEnd, intact.length - 1];
  const harms = [
    ...spots.map((spot, count) => ({
      what: `byte ${spot}`,
      bytes: flip(intact, spot * 8 + (count % 8)),
      hits: (from: number, end: number) => from <= spot && spot < end,
    })),
    ...cuts.map((length) => ({
      what: `cut to ${length}`,
      bytes: intact.subarray(0, length),
      hits: (_from: number, end: number) => length < end,
    })),
  ];
  const counts = { header: 0, block: 0, end: 0 };
  for (const [count, { what, bytes, hits }] of harms.entries()) {
    store.tamper(key, bytes, pack.versionId);
    const warnings: string[] = [];
    const into = `${target}/${count}`;
    const onWarning = (message: string): void => void warnings.push(message);
    const { failed } = await restore(reading, { stream, sequence: 1, target: into, onWarning });
    const got = describeTree(into);
    t.strictSame(
      got.filter((line) => !right.has(line)),
      [],
    );
    t.equal(got.length + failed, right.size);
    t.equal(warnings.filter((warning) => warning.includes(pack.name)).length, failed, 'each is named');
    const hurt = blocks.filter(({ from, end }) => hits(from, end));
    if (hurt.length > 0) t.ok(failed >= hurt.length && failed < right.size, `${what}: ${failed} failed`);
    // The commit repeats the header, and nobody needs the rest while the manifest is there.
    else t.equal(failed, 0, what);
    if (hurt.length > 0) counts.block++;
    else counts[hits(0, objectHeader_bytes) ? 'header' : 'end']++;
    if (hurt.length > 0 && bytes.length === intact.length) continue;
    const stored = { name: pack.name, versionId: pack.versionId, size_bytes: intact.length };
    const found = await surprise(() => readPackEnd(context, stored));
    t.equal(found, undefined, `${what}: whoever reads the pack alone notices`);
  }
  store.tamper(key, intact, pack.versionId);
  t.ok(Math.min(...Object.values(counts)) > 0, JSON.stringify(counts));
});

void t.test('pack: other blocks can be read, whatever block is hit', async (t) => {
  const { packs, catalog } = await machine.open({ access: 'read' }, uncached);
  const pack = (await collect(first!.packs()))[0]!;
  const key = packKey(pack.name);
  const intact = await store.get(key, { versionId: pack.versionId });
  const places = pack.blocks.map(({ chunks }) => catalog.chunk(chunks[0]!.id)!);
  const plain = new Map<number, Buffer>();
  for (const place of places) plain.set(place.block, (await packs.readBlocks([place])).get(place.block)!);
  for (let count = 0; count < runs(1000).numRuns; count++) {
    const spot = randomInt(
      objectHeader_bytes,
      places.at(-1)!.blockOffset_bytes + places.at(-1)!.blockStored_bytes,
    );
    store.tamper(key, flip(intact, spot * 8 + randomInt(8)), pack.versionId);
    for (const place of places) {
      const isHit =
        spot >= place.blockOffset_bytes && spot < place.blockOffset_bytes + place.blockStored_bytes;
      const result = await packs.readBlocks([place]).catch((error: unknown) => error);
      const isRight = isHit
        ? result instanceof RrbackupError &&
          result.code === 'pack.damaged' &&
          result.message.includes(pack.name)
        : result instanceof Map && (result.get(place.block) as Buffer).equals(plain.get(place.block)!);
      if (!isRight) t.fail(`byte ${spot}, block ${place.block}`, { result });
    }
  }
  store.tamper(key, intact, pack.versionId);
});

void t.test('descriptor: every bit', async (t) => {
  const intact = await store.get('rrbackup.json');
  const meaning = parseDescriptor(intact);
  t.ok(encodeDescriptor(meaning, context.keys).equals(intact));
  for (let bit = 0; bit < intact.length * 8; bit++) {
    const found = await surprise(() => {
      verifyDescriptor(parseDescriptor(flip(intact, bit)), context.keys);
    });
    if (found !== undefined)
      t.fail(`bit ${bit} of ${JSON.stringify(String.fromCharCode(intact[bit >> 3]!))}`, { found });
  }
});

void t.test('key slot: every bit', async (t) => {
  const { repositoryId } = context;
  const kdf = { ops: 1, memory_bytes: 32 << 20 };
  const options = {
    secret: Buffer.alloc(32, 5),
    password: 'right',
    repositoryId,
    name: 'a@b',
    created: '2026-11-21T00:00:00Z',
    kdf,
  };
  const { bytes } = createSlot(options);
  t.ok(openSlot(bytes, 'right', repositoryId)?.equals(options.secret));
  const parsing: number[] = [];
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const found = await surprise(() => parseSlot(flip(bytes, bit), repositoryId));
    if (found === 'accepted') parsing.push(bit);
    else if (found !== undefined) t.fail(`bit ${bit}`, { found });
  }
  // What still is a slot takes Argon2's time, each: it opens nothing.
  const tries = Math.min(parsing.length, runs(24).numRuns);
  for (let count = 0; count < tries; count++) {
    const bit = parsing[Math.floor((count * parsing.length) / tries)]!;
    const opened = openSlot(flip(bytes, bit), 'right', repositoryId);
    if (opened !== undefined) t.fail(`bit ${bit} opens`);
  }
});
