// The journal of a restore: what an interrupted run had put back is not read again, and nothing wrong passes for right.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { setModified } from '../../lib/posix/attributes.js';
import { type RestoreOptions, restore } from '../../lib/restore/index.js';
import { isTrusted, Journal, type Subject } from '../../lib/restore/journal.js';
import { describeTree, scratchDirectory } from '../trees.js';
import { MemoryRepository } from './memory-repository.js';

const journalName = '.rrbackup-partial-journal';
const files = 1100;

/** Where there is no boot id a crash cannot be told, and there is no journal. */
const skip = !fs.existsSync('/proc/sys/kernel/random/boot_id');

interface Interrupted {
  readonly root: string;
  readonly target: string;
  run(options?: Partial<RestoreOptions>): ReturnType<typeof restore>;
  at(index: number): string;
}

/** A restore that was interrupted when its first request was done. */
async function interrupted(t: Test): Promise<Interrupted> {
  const scratch = scratchDirectory(t);
  const root = path.join(scratch, 'source');
  const target = path.join(scratch, 'target');
  for (let index = 0; index < files; index++) {
    fs.mkdirSync(path.dirname(nameOf(root, index)), { recursive: true });
    fs.writeFileSync(nameOf(root, index), `content of file ${index}`);
  }
  const repository = new MemoryRepository();
  repository.add(root, 1);
  const run = (options: Partial<RestoreOptions> = {}) =>
    restore({ repository, stream: 's', sequence: 1, target, ...options });
  const controller = new AbortController();
  const onProgress = (): void => controller.abort();
  await t.rejects(run({ signal: controller.signal, onProgress }), { code: 'interrupted' });
  return { root, target, run, at: (index) => nameOf(target, index) };
}

function nameOf(root: string, index: number): string {
  const name = String(index).padStart(6, '0');
  return path.join(root, name.slice(0, 4), name);
}

/** Other content of the same size and time. */
function spoil(name: string): void {
  const { mtimeNs } = fs.statSync(name, { bigint: true });
  const content = fs.readFileSync(name);
  content[0]! ^= 1;
  fs.writeFileSync(name, content);
  setModified(Buffer.from(name), mtimeNs);
}

interface Line {
  subject: string;
  claims: { from_ns: string; until_ns: string; before: string }[];
}

function lineOf(target: string): Line {
  const text = fs.readFileSync(path.join(target, journalName), 'latin1');
  return JSON.parse(text.slice(0, text.indexOf('\n'))) as Line;
}

t.test('goes on where it stopped, and is gone when all is done', { skip }, async (t) => {
  const { root, target, run } = await interrupted(t);
  const [claim] = lineOf(target).claims;
  t.ok(claim!.before.length > 0, 'it says how far');
  const { alreadyRight, conflicts } = await run();
  t.ok(alreadyRight > 0);
  t.equal(conflicts, 0);
  t.strictSame(describeTree(target), describeTree(root));
});

t.test(
  'what was changed meanwhile is noticed, though its size and its time are the same',
  { skip },
  async (t) => {
    const { target, run, at } = await interrupted(t);
    const before = fs.readFileSync(at(3));
    fs.utimesSync(at(3), 1, 1);
    spoil(at(5));
    fs.rmSync(at(7));
    t.match(await run(), { conflicts: 2, failed: 0 });
    t.strictSame(fs.readFileSync(at(3)), before);
    t.notOk(fs.existsSync(path.join(target, journalName)));
    t.match(await run({ overwrite: true }), { conflicts: 0 });
  },
);

/** As if nobody had touched anything since the journal was written: then only reading would tell. */
function vouch(target: string, change: Partial<Line> = {}): void {
  const { subject, claims } = lineOf(target);
  const vouching = claims.map((claim) => ({ ...claim, until_ns: `9${claim.until_ns}` }));
  fs.writeFileSync(
    path.join(target, journalName),
    `${JSON.stringify({ subject, claims: vouching, ...change })}\nthe end of a longer line`,
  );
}

t.test('what it vouches for is not read', { skip }, async (t) => {
  const { target, run, at } = await interrupted(t);
  spoil(at(5));
  vouch(target);
  // This is the proof: a reader would have seen it.
  t.match(await run(), { conflicts: 0, failed: 0 });
  t.match(await run(), { conflicts: 1 });
});

t.test('it vouches for nothing else', { skip }, async (t) => {
  const cases: [what: string, vouch: (target: string) => void, options?: Partial<RestoreOptions>][] = [
    ['of another boot, disk, target or version', (target) => vouch(target, { subject: 'another' })],
    ['asked for by other paths', (target) => vouch(target), { paths: ['0000', '00*'] }],
    [
      'from before what it says',
      (target) =>
        vouch(target, {
          claims: [{ from_ns: '8000000000000000000', until_ns: '9000000000000000000', before: '7a' }],
        }),
    ],
    [
      'behind how far it says',
      (target) =>
        vouch(target, { claims: [{ from_ns: '0', until_ns: '9000000000000000000', before: '2f' }] }),
    ],
    ['cut short', (target) => fs.truncateSync(path.join(target, journalName), 20)],
    [
      'open to others',
      (target) => {
        vouch(target);
        fs.chmodSync(path.join(target, journalName), 0o666);
      },
    ],
    [
      'a link',
      (target) => {
        vouch(target);
        fs.renameSync(path.join(target, journalName), `${target}-journal`);
        fs.symlinkSync(`${target}-journal`, path.join(target, journalName));
      },
    ],
  ];
  for (const [what, spoilJournal, options] of cases) {
    await t.test(what, async (t) => {
      const { target, run, at } = await interrupted(t);
      spoil(at(5));
      spoilJournal(target);
      t.match(await run(options), { conflicts: 1, failed: 0 });
      t.notOk(fs.existsSync(path.join(target, journalName)));
    });
  }
});

t.test('each run takes over what the runs before it knew', { skip }, (t) => {
  const target = scratchDirectory(t);
  const root = { descriptor: -1, path: Buffer.from(target) };
  const name = Buffer.from(journalName);
  const subject: Subject = { repositoryId: 'r', stream: 's', sequence: 1, paths: ['a'] };
  const file = path.join(target, 'file');
  const written: bigint[] = [];
  const write = (): void => {
    fs.writeFileSync(file, '');
    written.push(fs.statSync(file, { bigint: true }).ctimeNs);
  };
  const clock = path.join(target, 'clock');
  const now_ns = (): bigint => {
    fs.writeFileSync(clock, '');
    return fs.statSync(clock, { bigint: true }).ctimeNs;
  };
  /** The clock of a file system goes in steps. */
  const later = (): void => {
    for (const began_ns = now_ns(); now_ns() <= began_ns;);
  };
  for (const before of ['m', 'f']) {
    const journal = Journal.begin(root, name, subject)!;
    later();
    write();
    later();
    journal.note(Buffer.from(before));
    journal.close();
    later();
    write();
    later();
  }
  const journal = Journal.begin(root, name, subject)!;
  const trusted = (...paths: string[]) =>
    written.map((ctimeNs) =>
      isTrusted({ ctimeNs } as fs.BigIntStats, journal.trust(paths.map((each) => Buffer.from(each)))),
    );
  t.strictSame(trusted('a', 'b/c'), [true, false, true, false], 'what was written in between is not');
  t.strictSame(trusted('g', 'a'), [true, false, false, false]);
  t.strictSame(trusted('a', 'm'), [false, false, false, false]);
  journal.remove();
  t.strictSame(fs.readdirSync(target).sort(), ['clock', 'file']);
  const other = Journal.begin(root, name, { ...subject, sequence: 2 })!;
  t.strictSame(other.trust([Buffer.from('a')]), []);
  other.remove();
  t.end();
});
