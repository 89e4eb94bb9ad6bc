// A repository in a directory and a disk that forgets what was not synced: after a power cut at any moment, whatever of the
// unsynced is there and whatever is not, nothing that was acknowledged is missing, nothing is there in part, and every version
// that was committed reads as it did.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { backup } from '../../lib/index.js';
import { randomBytes } from '../../lib/crypto/index.js';
import { DirectoryStore } from '../../lib/store/directory/index.js';
import type { Call } from '../../lib/store/types.js';
import { Machine } from '../repository/fixture.js';
import { runs } from '../runs.js';
import { standBetween } from './disk.js';
import { type FoundFile, PowerCutRecorder } from './power-cut.js';

/** Tells of every object when it is about to be stored, and when that was acknowledged. */
class Watched extends DirectoryStore {
  readonly #recorder: PowerCutRecorder;
  readonly notes: { readonly key: string; readonly bytes: Buffer; readonly at: number }[] = [];
  readonly #before: () => void;

  constructor(path: string, recorder: PowerCutRecorder, before: () => void) {
    super(path);
    this.#recorder = recorder;
    this.#before = before;
  }

  override put(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    return this.#noted(key, bytes, () => super.put(key, bytes, call));
  }

  override create(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    return this.#noted(key, bytes, () => super.create(key, bytes, call));
  }

  async #noted<T>(key: string, bytes: Uint8Array, store: () => Promise<T>): Promise<T> {
    const copy = Buffer.from(bytes);
    this.#before();
    const result = await store();
    this.notes.push({ key, bytes: copy, at: this.#recorder.now });
    return result;
  }
}

/** So many versions, and what a disk was told meanwhile. */
async function recorded(t: Test, versions: number, forget?: 'sync' | 'syncDirectory') {
  const machine = new Machine(t);
  const root = machine.at('repository');
  const recorder = new PowerCutRecorder(root);
  const memories: { readonly at: number; readonly path: string }[] = [];
  const store = new Watched(root, recorder, () => {
    const memory = { at: recorder.now, path: machine.at(`memory-${memories.length}`) };
    if (fs.existsSync(machine.at('state'))) fs.cpSync(machine.at('state'), memory.path, { recursive: true });
    memories.push(memory);
  });
  const stop = standBetween(t, root, recorder.around(forget));
  const repository = await machine.open({}, { store });
  const trees: string[][] = [];
  for (let version = 1; version <= versions; version++) {
    for (let file = 0; file < 5; file++) machine.write(`${version}/${file}`, randomBytes(20_000));
    machine.write('rewritten', randomBytes(200_000));
    await backup(repository, machine.source);
    trees.push(machine.described());
  }
  stop();
  return { machine, root, recorder, notes: store.notes, memories, trees };
}

type Recorded = Awaited<ReturnType<typeof recorded>>;

const isStored = (root: string, file: string): boolean => !file.startsWith(`${root}/.temporary/`);
const isProbe = (key: string): boolean => key.startsWith('probe-');

/** What is wrong with the disk after a power cut, as far as the store alone is concerned. */
function complaints(
  { root, notes }: Recorded,
  moment: number,
  found: ReadonlyMap<string, FoundFile>,
): string[] {
  const wrong: string[] = [];
  for (const { key, bytes, at } of notes) {
    // What the probe stored it has also removed.
    if (at > moment || isProbe(key)) continue;
    if (found.get(path.join(root, key))?.bytes.equals(bytes) !== true) wrong.push(`${key} is lost`);
  }
  for (const [file, { bytes, torn }] of found) {
    const key = path.relative(root, file);
    if (!isStored(root, file) || isProbe(key)) continue;
    const isWhole = !torn && notes.some((note) => note.key === key && note.bytes.equals(bytes));
    if (!isWhole) wrong.push(`${key} is there in part`);
  }
  return wrong;
}

/** At every moment, with the least and the most that may be there. */
function allComplaints(record: Recorded): string[] {
  const wrong: string[] = [];
  for (let moment = 0; moment <= record.recorder.now; moment++) {
    for (const least of [true, false]) {
      // Names that are there, contents that are not: the worst of both.
      const found = record.recorder.cut(moment, (call) => !least && call.name !== 'write');
      wrong.push(...complaints(record, moment, found).map((what) => `${moment}: ${what}`));
    }
  }
  return wrong;
}

void t.test('nothing acknowledged is lost, nothing is there in part', async (t) => {
  const record = await recorded(t, 3);
  t.ok(record.notes.length >= 7);
  t.strictSame(allComplaints(record), []);
  await t.test('every version that was committed reads as before, and the next one is made', (t) =>
    goOn(t, record),
  );
});

void t.test('a store that forgot to sync would be found out', async (t) => {
  t.match(allComplaints(await recorded(t, 1, 'sync')), [/is there in part/]);
  t.match(allComplaints(await recorded(t, 1, 'syncDirectory')), [/is lost/]);
});

/** The disk and what this machine remembered, as they are found; contents that did not reach the disk are half there. */
function putBack({ machine, root, memories }: Recorded, moment: number, found: Map<string, FoundFile>): void {
  for (const name of ['repository', 'state', 'cache'])
    fs.rmSync(machine.at(name), { recursive: true, force: true });
  for (const [file, { bytes, torn }] of found) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, torn ? bytes.subarray(0, bytes.length / 2) : bytes);
  }
  fs.mkdirSync(root, { recursive: true });
  const memory = memories.findLast(({ at }) => at <= moment);
  if (memory !== undefined && fs.existsSync(memory.path))
    fs.cpSync(memory.path, machine.at('state'), { recursive: true });
}

async function goOn(t: Test, record: Recorded): Promise<void> {
  const { machine, root, recorder, notes, trees } = record;
  const commits = notes.filter(({ key }) => key.includes('/commits/'));
  const tries = runs(3).numRuns;
  for (let at = 0; at < tries; at++) {
    const moment = Math.ceil(((at + 1) / tries) * recorder.now);
    const luck = randomBytes(1)[0]! / 255;
    putBack(
      record,
      moment,
      recorder.cut(moment, () => randomBytes(1)[0]! / 256 < luck),
    );
    const repository = await machine.open({}, { store: new DirectoryStore(root) });
    const head = repository.catalog.streams()[0]?.head ?? 0;
    t.ok(head >= commits.filter((note) => note.at <= moment).length, `moment ${moment}: no version is lost`);
    for (let version = 1; version <= head; version++)
      t.strictSame(
        await machine.restored(repository, version),
        trees[version - 1],
        `version ${version} reads`,
      );
    machine.write('new', randomBytes(100));
    t.match(await backup(repository, machine.source), { version: head + 1 });
    t.strictSame(await machine.restored(repository, head + 1), machine.described());
    await repository.close();
  }
}
