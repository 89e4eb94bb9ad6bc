// What this machine remembers: only what this program wrote is believed, and what cannot be written is told once.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { LocationState } from '../../lib/repository/state.js';
import { scratchDirectory } from '../trees.js';

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
