// What this machine remembers of damage that a check has found.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { LocationState } from '../../lib/repository/state.js';
import { Suspects } from '../../lib/repository/suspects.js';
import { scratchDirectory } from '../trees.js';

const [a, b, c] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [string, string, string];
const everything = { manifest: true, pack: () => true };

void t.test('remembered at once, until looked at again and found in order', async (t) => {
  const state = new LocationState(scratchDirectory(t), 'a place');
  const found = new Suspects(state);
  found.add(a);
  found.add(b);
  found.add(a);
  found.addManifest();
  // The check is killed here.
  const again = new Suspects(state);
  t.strictSame([...again.packs], [a, b]);
  t.equal(again.hasManifest, true);

  again.add(b);
  again.settle({ manifest: false, pack: (name) => name === b });
  const third = new Suspects(state);
  t.strictSame([...third.packs].sort(), [a, b], 'what was not looked at stays');
  t.equal(third.hasManifest, true);

  third.add(c);
  third.settle(everything);
  t.strictSame([...new Suspects(state).packs], [c]);
  t.equal(new Suspects(state).hasManifest, false);
  new Suspects(state).settle(everything);
  t.notOk(fs.existsSync(path.join(state.directory, 'damaged')), 'nothing is left');
});

void t.test('a file that somebody else has written, and one that cannot be', async (t) => {
  const warnings: string[] = [];
  const state = new LocationState(scratchDirectory(t), 'a place', (message) => warnings.push(message));
  state.makeDirectory();
  const file = path.join(state.directory, 'damaged');
  fs.writeFileSync(file, `../../x\n${a}\n${a.slice(1)}\nmanifest`);
  t.strictSame([...new Suspects(state).packs], [a]);
  fs.rmSync(file);
  fs.mkdirSync(file);
  const suspects = new Suspects(state);
  t.equal(suspects.isKept, true);
  suspects.add(a);
  t.equal(suspects.isKept, false);
  t.equal(warnings.length, 1);
});
