// What this machine remembers: only what this program wrote is believed, and what cannot be written is told once.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { LocationState } from '../../lib/repository/state.js';
import { VerifyJournal } from '../../lib/check/verify-journal.js';
import { lockHolder, tryLock } from '../../lib/posix/flock.js';
import { makeNode } from '../../lib/posix/nodes.js';
import { recallGone } from '../../lib/repository/damage.js';
import { recallOpening } from '../../lib/repository/opening.js';
import { isRoot, scratchDirectory } from '../trees.js';

const repositoryId = 'ab'.repeat(16);
const pin = { sequence: 3, hash: 'cd'.repeat(32) };
const memory = { repositoryId, encryption: 'none', pins: { stream: pin } } as const;

void t.test('what is not of the shape that it was written in is damage', async (t) => {
  const state = new LocationState(scratchDirectory(t), 'a place');
  state.remember(memory);
  t.match(state.recall(), memory);
  const file = path.join(state.directory, 'repository.json');
  const written = JSON.parse(fs.readFileSync(file, 'utf8')) as object;
  for (const changed of [
    { repositoryId: [repositoryId] },
    { encryption: ['none'] },
    { location: ['a place'] },
    { pins: [] },
    { pins: [pin] },
    { pins: '' },
    { pins: null },
    { pins: { stream: [3, pin.hash] } },
    { pins: { stream: null } },
    { pins: { stream: { ...pin, hash: [pin.hash] } } },
    { pins: { stream: { ...pin, sequence: '3' } } },
  ]) {
    fs.writeFileSync(file, JSON.stringify({ ...written, ...changed }));
    t.throws(() => state.recall(), { code: 'state.damaged' }, JSON.stringify(changed));
  }
});

void t.test('what others can write to, or own, is neither read nor written nor removed', (t) => {
  const directory = scratchDirectory(t);
  const state = new LocationState(directory, 'a place');
  state.remember(memory);
  const refused = (what: string): void => {
    for (const use of [
      () => state.recall(),
      () => state.remember(memory),
      () => state.makeDirectory(),
      () => state.attempt(() => t.fail('it is written to')),
      () => state.forget(),
    ])
      t.throws(use, { code: 'state.foreign', kind: 'usage', guidance: /XDG_STATE_HOME/ }, what);
    t.ok(fs.existsSync(path.join(state.directory, 'repository.json')));
  };
  fs.chmodSync(state.directory, 0o770);
  refused('the directory');
  fs.chmodSync(state.directory, 0o700);
  fs.chmodSync(directory, 0o777);
  refused('the one above');
  fs.chmodSync(directory, 0o755);
  if (isRoot) {
    fs.chownSync(directory, 4242, 4242);
    refused('the owner');
    const nothing = new LocationState(path.join(directory, 'none'), 'a place');
    t.throws(() => nothing.makeDirectory(), { code: 'state.foreign' });
    t.notOk(fs.existsSync(path.join(directory, 'none')), 'nothing is made there');
    fs.chownSync(directory, 0, 0);
  }
  t.match(state.recall(), memory);
  t.end();
});

void t.test('no fifo is waited for, no symlink followed', (t) => {
  const state = new LocationState(scratchDirectory(t), 'a place');
  state.makeDirectory();
  const file = (name: string): string => path.join(state.directory, name);
  for (const name of [
    'repository.json',
    'stream.journal',
    'stream.checkpoint',
    'opening.json',
    'gone.json',
    'check.journal',
  ])
    makeNode(Buffer.from(file(name)), 'fifo');
  for (const read of [
    () => state.recall(),
    () => state.journal('stream'),
    () => state.newestCheckpoint('stream'),
  ])
    t.throws(read, { code: 'state.denied', message: /it is not a regular file$/ });
  t.equal(recallOpening(state.directory), undefined);
  t.equal(recallGone(state.directory).size, 0);
  const options = { directory: state.directory, selection: 'all', now_ns: 0n };
  const onWarning = (message: string): void => void t.fail(message);
  t.equal(new VerifyJournal({ ...options, startsAnew: false, onWarning }).doneCount, 0);
  fs.symlinkSync('/etc/passwd', file('stream.lock'));
  t.throws(() => tryLock(file('stream.lock')), { code: 'ELOOP' });
  t.equal(lockHolder(file('repository.json')), undefined);
  t.end();
});

void t.test(
  'where nothing can be written there is one warning, and what was there before holds',
  async (t) => {
    const warnings: string[] = [];
    const directory = path.join(scratchDirectory(t), 'state');
    fs.writeFileSync(directory, 'a file');
    const state = new LocationState(directory, 'a place', (message) => warnings.push(message));
    t.equal(state.recall(), undefined);
    state.remember(memory);
    state.journalAdd('stream', repositoryId);
    state.journalClear('stream');
    state.noteCheckpoint('stream', 3);
    t.equal(state.journal('stream'), undefined);
    t.equal(warnings.length, 1);
    t.match(warnings, [/cannot be written \(not a directory\).*XDG_STATE_HOME/]);
    const other = new LocationState(scratchDirectory(t), 'a place');
    t.throws(
      () => other.attempt(() => JSON.parse('{')),
      SyntaxError,
      'what is no fault of the system is not hidden',
    );
  },
);
