// The real command against a directory that is damaged for good: the key on paper, recover, repair.

import fs from 'node:fs';
import t, { type Test } from 'tap';
import { type Home, difference, newHome } from './cli.js';

function newUser(t: Test): Home {
  const home = newHome(t);
  fs.mkdirSync(home.at('source', 'sub'), { recursive: true });
  fs.writeFileSync(home.at('source', 'a.txt'), 'hello');
  fs.writeFileSync(home.at('source', 'sub', 'b'), 'b'.repeat(300_000));
  configure(home, 'first');
  return home;
}

const configure = (home: Home, password: string): void =>
  home.configure(
    `[main]\nbase_path: source\nhost: here\ncrypt_password: ${password}\n[directory]\npath: repository\n`,
  );

/** As on a new machine. */
function forget(home: Home): void {
  for (const name of ['state', 'cache']) fs.rmSync(home.at(name), { recursive: true, force: true });
}

void t.test('the key on paper opens what has lost its passwords, its descriptor and its log', async (t) => {
  const home = newUser(t);
  await home.ok();
  const exported = await home.rr('key', 'export', '--paper', '--output', 'sheet.txt');
  t.equal(exported.status, 0);
  t.match(exported.stderr, /whoever has it can read every backup/);
  const sheet = fs.readFileSync(home.at('sheet.txt'), 'utf8');
  t.equal(fs.statSync(home.at('sheet.txt')).mode & 0o777, 0o600);
  const lines = sheet.split('\n').filter((line) => /^ +[1-6] {2}/.test(line));
  t.equal(lines.length, 6);
  for (const line of lines)
    for (const group of line.trim().slice(3).split(' '))
      t.notOk((exported.stdout + exported.stderr).includes(group), 'it stands in the file alone');
  const again = await home.rr('key', 'export', '--output', 'sheet.txt');
  t.equal(again.status, 1, 'a file that is there is never overwritten');
  t.equal(fs.readFileSync(home.at('sheet.txt'), 'utf8'), sheet);

  for (const name of ['keys', 'streams', 'rrbackup.json'])
    fs.rmSync(home.at('repository', name), { recursive: true });
  forget(home);
  configure(home, 'second');
  const without = await home.rr('recover');
  t.equal(without.status, 13);
  t.match(without.stderr, /hint: .*--key-file/);

  const typed = lines.map((line) => line.trim().toLowerCase());
  const wrong = typed.map((line, index) =>
    index === 2 ? line.replace(/.$/, (last) => (last === 'x' ? 'y' : 'x')) : line,
  );
  fs.writeFileSync(home.at('typed.txt'), wrong.join('\n'));
  const mistyped = await home.rr('recover', '--key-file', 'typed.txt');
  t.equal(mistyped.status, 2);
  t.match(mistyped.stderr, /line 3 of the key is not as printed/);
  t.notOk(fs.existsSync(home.at('repository', 'rrbackup.json')), 'nothing was written');

  fs.writeFileSync(home.at('typed.txt'), typed.join('\n'));
  t.match(await home.ok('recover', '--key-file', 'typed.txt'), /1 rebuilt, 0 lost/);
  await home.ok('download', 'latest', 'back');
  t.equal(await difference(home, home.at('source'), home.at('back')), '');
  t.match(await home.ok('backup'), /nothing has changed|no change|unchanged/i);
});

void t.test('a pack is lost: repair names what it hurts, the next backup heals it', async (t) => {
  const home = newUser(t);
  await home.ok();
  const packs = fs
    .readdirSync(home.at('repository', 'packs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.length > 60);
  for (const pack of packs) fs.rmSync(home.at('repository', 'packs', pack));
  const found = await home.rr('repair');
  t.equal(found.status, 13);
  t.match(found.stdout, /version 1: a\.txt/);
  t.match(found.stdout, /version 1: sub\/b/);
  const torn = await home.rr('download', '1', 'torn');
  t.equal(torn.status, 3);
  t.match(torn.stderr, /a\.txt is not put back/);
  await home.ok('backup');
  await home.ok('repair');
  await home.ok('download', '1', 'back');
  t.equal(await difference(home, home.at('source'), home.at('back')), '');
});
