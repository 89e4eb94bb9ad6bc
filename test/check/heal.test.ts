// What check finds, the command that it names heals: for each kind of damage the commands are run as a person would who types
// what is printed, then the next backup, and a check of every byte finds nothing any more.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { openRepository } from '../../lib/index.js';
import { commitKey } from '../../lib/manifest/names.js';
import { checkpoint } from './check-sample.js';
import { type Home, newHome, type Outcome } from '../e2e/cli.js';

/**
 * A repository all of whose contents this machine still has, with log entries that have parts, and a checkpoint in the middle.
 * `reset` brings everything back.
 */
async function sample(): Promise<{ home: Home; reset(): Promise<void> }> {
  const home = newHome(t, {}, 'here');
  const source = home.at('src');
  fs.mkdirSync(source);
  home.configure(`[main]\nbase_path: src\nhost: here\nencryption: none\n[directory]\npath: repo\n`);
  // Long enough for rows in a part of their own.
  for (let index = 0; index < 200; index++)
    fs.symlinkSync(`${index}`.repeat(1300), path.join(source, `link ${index}`));
  for (const version of [1, 2, 3, 4]) {
    fs.writeFileSync(path.join(source, `file ${version}`), randomBytes(300_000));
    fs.writeFileSync(path.join(source, `small ${version}`), `version ${version}`);
    await home.ok('backup', '-q');
  }
  const configuration = {
    store: { kind: 'directory', path: home.at('repo') },
    encryption: 'none',
    password: () => Promise.reject(new Error('no password is needed')),
    commitLocked: false,
    host: 'here',
    catalogPath: undefined,
    stateDirectory: home.at('state', 'rrbackup'),
    cacheDirectory: home.at('cache', 'rrbackup'),
  } as const;
  const repository = await openRepository(configuration, { access: 'write', note: () => undefined });
  await checkpoint(repository, repository.streamId('src'), 3);
  await repository.close();
  const parts = ['repo', 'state', 'cache'];
  await home.run('mkdir', 'saved');
  await home.run('cp', '-a', ...parts, 'saved');
  const reset = async (): Promise<void> => {
    await home.run('rm', '-rf', ...parts, 'back');
    await home.run('cp', '-a', ...parts.map((part) => `saved/${part}`), '.');
  };
  return { home, reset };
}

const made = sample();

/** Names of stored objects. */
function stored(home: Home, below: string): string[] {
  const directory = home.at('repo', below);
  return fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => path.join(file.parentPath, file.name))
    .sort();
}

const streamOf = (home: Home): string => fs.readdirSync(home.at('repo', 'streams'))[0]!;
const largest = (files: readonly string[]): string =>
  files.reduce((one, other) => (fs.statSync(other).size > fs.statSync(one).size ? other : one));
const pack = (home: Home): string => largest(stored(home, 'packs'));
const entry = (home: Home, version: number): string => home.at('repo', commitKey(streamOf(home), version));
const partsOf = (home: Home): string[] => stored(home, `streams/${streamOf(home)}/parts`);

function edit(file: string, change: (bytes: Buffer) => Buffer | undefined): void {
  const { mode } = fs.statSync(file);
  fs.chmodSync(file, 0o600);
  const bytes = fs.readFileSync(file);
  fs.writeFileSync(file, change(bytes) ?? bytes);
  fs.chmodSync(file, mode);
}

/** Counted from the end where it is negative. */
function flip(file: string, at: number): void {
  edit(file, (bytes) => {
    bytes[at < 0 ? bytes.length + at : at]! ^= 1;
    return undefined;
  });
}

const descriptor = (home: Home, change: (text: string) => string): void =>
  edit(home.at('repo', 'rrbackup.json'), (bytes) => Buffer.from(change(bytes.toString())));

const footer_bytes = 24;

/** The lengths of a pack's records and directory, as its footer says them. */
function lengths(file: string): { records: number; directory: number } {
  const bytes = fs.readFileSync(file);
  const at = bytes.length - footer_bytes;
  return { records: bytes.readUInt32LE(at), directory: bytes.readUInt32LE(at + 4) };
}

/** `seen`: also by a check that does not read contents. */
const damages: Record<string, { damage(home: Home): void; seen: boolean }> = {
  'a byte of a block': { damage: (home) => flip(pack(home), 5000), seen: false },
  'a byte of the records': {
    damage: (home) => flip(pack(home), -footer_bytes - lengths(pack(home)).directory - 20),
    seen: false,
  },
  'a byte of the directory': { damage: (home) => flip(pack(home), -footer_bytes - 20), seen: false },
  'a byte of the header': { damage: (home) => flip(pack(home), 70), seen: false },
  'a byte of the footer': { damage: (home) => flip(pack(home), -2), seen: false },
  'a pack cut off in a block': { damage: (home) => fs.truncateSync(pack(home), 9000), seen: true },
  'a pack without its last byte': {
    damage: (home) => fs.truncateSync(pack(home), fs.statSync(pack(home)).size - 1),
    seen: true,
  },
  'a pack of no bytes': { damage: (home) => fs.truncateSync(pack(home), 0), seen: true },
  'a pack that goes on': { damage: (home) => fs.appendFileSync(pack(home), 'x'), seen: true },
  'a pack that is gone': { damage: (home) => fs.rmSync(pack(home)), seen: true },
  'all packs changed': {
    damage: (home) => {
      for (const file of stored(home, 'packs')) flip(file, 140);
    },
    seen: false,
  },
  'the first log entry': { damage: (home) => flip(entry(home, 1), 200), seen: true },
  'a log entry in the middle': { damage: (home) => flip(entry(home, 2), 200), seen: true },
  'a log entry that is gone': { damage: (home) => fs.rmSync(entry(home, 2)), seen: true },
  'the newest log entry': { damage: (home) => fs.truncateSync(entry(home, 4), 100), seen: true },
  'a byte of the parts': {
    damage: (home) => {
      for (const file of partsOf(home)) flip(file, -30);
    },
    seen: false,
  },
  'parts that are gone': {
    damage: (home) => {
      for (const file of partsOf(home)) fs.rmSync(file);
    },
    seen: true,
  },
  'the root of a checkpoint': {
    damage: (home) => flip(stored(home, `streams/${streamOf(home)}/checkpoints`)[0]!, 200),
    seen: true,
  },
  'the descriptor': { damage: (home) => descriptor(home, (text) => text.replace('{', '[')), seen: true },
  "the descriptor's sum": {
    damage: (home) => descriptor(home, (text) => text.replace(/"mac": "./, '"mac": "-')),
    seen: true,
  },
  'the time in the descriptor': {
    damage: (home) => descriptor(home, (text) => text.replace(/"created": "2/, '"created": "3')),
    seen: true,
  },
  'a descriptor that is gone': { damage: (home) => fs.rmSync(home.at('repo', 'rrbackup.json')), seen: true },
};

/** The commands that are named; where check cannot even begin, by the hint. */
function named({ stdout, stderr }: Outcome): string[][] {
  const told = [...stdout.matchAll(/^now: rrbackup (.*)$/gm)].map(([, words]) => words!.split(' '));
  return told.length === 0 && /hint: .*rrbackup recover/.test(stderr) ? [['recover']] : told;
}

/** Types what is named, then makes a backup: nothing is damaged any more, and all contents are back. */
async function healAndProve(t: Test, home: Home, found: Outcome): Promise<void> {
  t.not(named(found).length, 0, 'a command is named');
  for (const words of named(found)) {
    const { stdout, stderr, status } = await home.rr(...words);
    t.notMatch(stdout, /nothing is damaged/, words.join(' '));
    t.ok([0, 3, 13].includes(status!), `${words.join(' ')}: ${status} ${stderr}`);
  }
  await home.ok('backup', '-q');
  for (const args of [['check'], ['check', '--read-data'], ['repair', '--read-data']]) {
    const { status, stdout, stderr } = await home.rr(...args);
    t.equal(status, 0, `${args.join(' ')}: ${stderr}${stdout}`);
  }
  t.notOk(fs.existsSync(path.join(stateOf(home), 'damaged')), 'what is healed is forgotten');
  await home.ok('download', 'latest', 'back', '--overwrite');
  await home.run('diff', '-r', '--no-dereference', home.at('src'), home.at('back'));
}

for (const [name, { damage, seen }] of Object.entries(damages))
  void t.test(name, async (t) => {
    const { home, reset } = await made;
    await reset();
    damage(home);
    const found = await home.rr('check', '--read-data');
    t.not(found.status, 0);
    if (!seen) {
      const again = await home.rr('check');
      t.equal(again.status, 13, 'what is known to be damaged is not forgotten');
      t.strictSame(named(again), named(found));
    }
    await healAndProve(t, home, found);
  });

void t.test('a sample finds it', async (t) => {
  const { home, reset } = await made;
  await reset();
  const file = pack(home);
  flip(file, 5000);
  const share = (Number.parseInt(path.basename(file).slice(0, 12), 16) % 7) + 1;
  const other = await home.rr('check', `--read-data-subset=${(share % 7) + 1}/7`);
  t.match(other, { status: 0, stdout: /; everything that the versions need is there/ });
  t.notMatch(other.stdout, /nothing is damaged/);
  await healAndProve(t, home, await home.rr('check', `--read-data-subset=${share}/7`));
});

void t.test('on a machine that knows of no check', async (t) => {
  const { home, reset } = await made;
  await reset();
  flip(pack(home), 5000);
  t.match(await home.rr('repair'), {
    status: 0,
    stdout:
      /^everything that the versions need is there; contents were not read: rrbackup repair --read-data reads them/,
  });
  t.match(await home.rr('check'), {
    status: 0,
    stdout: /everything that the versions need is there; contents were not read;/,
  });
  const { stdout, stderr, status } = await home.rr('repair', '--read-data');
  t.equal(status, 13);
  await healAndProve(t, home, { stdout: `${stdout}now: rrbackup repair\n`, stderr, status });
});

void t.test('where nothing can be remembered the command reads everything', async (t) => {
  const { home, reset } = await made;
  await reset();
  flip(pack(home), 5000);
  fs.mkdirSync(path.join(stateOf(home), 'damaged'));
  const found = await home.rr('check', '--read-data');
  t.strictSame(named(found), [['repair', '--read-data']]);
  t.match(found.stderr, /cannot be written/);
  fs.rmdirSync(path.join(stateOf(home), 'damaged'));
  await healAndProve(t, home, found);
});

/** Where this machine remembers the repository. */
function stateOf(home: Home): string {
  const state = home.at('state', 'rrbackup');
  return path.join(
    state,
    fs.readdirSync(state).find((name) => /^[0-9a-f]{16}$/.test(name))!,
  );
}

void t.test('what nobody has any more is named, and does not pass for healed', async (t) => {
  const { home, reset } = await made;
  await reset();
  for (const file of stored(home, 'packs')) flip(file, 140);
  const source = home.at('src', 'file 2');
  const kept = fs.readFileSync(source);
  fs.rmSync(source);
  t.teardown(() => fs.writeFileSync(source, kept));
  const [command] = named(await home.rr('check', '--read-data'));
  t.strictSame(command, ['repair']);
  t.match(await home.rr('repair'), { status: 13 });
  await home.ok('backup', '-q');
  for (const args of [['repair'], ['check'], ['check', '--read-data']])
    t.match(
      await home.rr(...args),
      { status: 13, stdout: /1 file DAMAGED in versions 2-4\n.*: file 2\n/ },
      args.join(' '),
    );
});

void t.test("somebody's key slot", async (t) => {
  const home = newHome(t, {}, 'here');
  home.configure('[main]\nbase_path: src\nhost: here\ncrypt_password: a\n[directory]\npath: repo\n');
  fs.mkdirSync(home.at('src'));
  fs.writeFileSync(home.at('src', 'a'), 'a');
  await home.ok('backup', '-q');
  const own = stored(home, 'keys');
  fs.writeFileSync(home.at('new'), 'another password');
  await home.ok('key', 'add', '--new-password-file', 'new');
  const slot = stored(home, 'keys').find((file) => !own.includes(file))!;
  edit(slot, (bytes) => bytes.subarray(0, 100));
  const found = await home.rr('check');
  t.strictSame(named(found), [['key', 'remove', path.basename(slot)]]);
  t.match(found.stderr, /rrbackup key add makes a new one/);
  t.match(await home.rr('repair'), {
    status: 13,
    stdout: new RegExp(`now: rrbackup key remove ${path.basename(slot)}`),
  });
  await healAndProve(t, home, found);
});
