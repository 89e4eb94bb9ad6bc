// The command as it is typed: what it prints, and its exit statuses.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { commandsIn } from '../commands/here.js';
import { scratchDirectory } from '../trees.js';

const cwd = scratchDirectory(t);
fs.mkdirSync(path.join(cwd, 'home'));
fs.mkdirSync(path.join(cwd, 'source'));
fs.writeFileSync(path.join(cwd, 'source', 'a\x1b[31m.txt'), randomBytes(5000));
fs.writeFileSync(
  path.join(cwd, 'configuration.ini'),
  '[main]\nbase_path: source\nhost: here\nencryption: none\n[directory]\npath: repository\n',
);

const run = commandsIn(cwd);

function packs(): string[] {
  const directory = path.join(cwd, 'repository', 'packs');
  return fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

void t.test('fine, damaged, rolled back, and what cannot be asked for', async (t) => {
  t.equal((await run('check')).status, 10, 'there is nothing to check yet');
  t.equal((await run('backup')).status, 0);
  fs.writeFileSync(path.join(cwd, 'source', 'b'), 'b');
  t.equal((await run('backup')).status, 0);

  const fine = await run('check', '--read-data');
  t.match(fine, { status: 0, out: /^2 versions of 1 source; 2 packs .*; nothing is damaged; / });
  t.match(JSON.parse((await run('check', '--json', '--read-data-subset=1/1')).out), {
    verdict: 'fine',
    read_packs: 2,
    sources: [{ host: 'here', source: 'source', newest: 2, lost: [], hurt: [], hurt_files: 0 }],
    findings: [],
    files: [],
  });
  t.match(await run('check', '--quiet'), { status: 0, out: '', said: '' });
  for (const wrong of ['--read-data=ten', '--read-data=0%', '--read-data=101%', '--read-data-subset=3/2'])
    t.equal((await run('check', wrong)).status, 2, wrong);
  t.equal((await run('check', '--read-data', '--read-data-subset=1/2')).status, 2);

  const [first] = packs().sort((a, b) => fs.statSync(b).size - fs.statSync(a).size);
  const bytes = fs.readFileSync(first!);
  const damaged = Buffer.from(bytes);
  damaged[140]! ^= 1;
  fs.writeFileSync(first!, damaged);
  t.equal((await run('check')).status, 0);
  const found = await run('check', '--read-data');
  t.equal(found.status, 13);
  t.match(found.said, new RegExp(`warning: pack ${path.basename(first!)} `));
  t.match(found.out, /\nnow: rrbackup repair\n$/);
  t.match(
    found.out,
    /^source of here: 1 file DAMAGED in versions 1-2\n {2}source of here, versions 1-2: a\\x1b\[31m.txt\n/,
  );
  t.match(JSON.parse((await run('check', '--read-data', '--json')).out), {
    verdict: 'damaged',
    findings: [
      { code: 'pack.damaged', object: `packs/${path.basename(first!).slice(0, 2)}/${path.basename(first!)}` },
    ],
    files: [
      {
        host: 'here',
        source: 'source',
        path: 'a\x1b[31m.txt',
        versions: [[1, 2]],
        pack: path.basename(first!),
      },
    ],
  });
  fs.writeFileSync(first!, bytes);

  const streams = path.join(cwd, 'repository', 'streams');
  fs.rmSync(path.join(streams, fs.readdirSync(streams)[0]!, 'commits', '0000000002'));
  const back = await run('check');
  t.equal(back.status, 17);
  t.match(back.out, /source of here: version 2 LOST/);
});

void t.test('after recover: what came back in part is called so wherever it is shown', async (t) => {
  const streams = path.join(cwd, 'repository', 'streams');
  fs.rmSync(streams, { recursive: true });
  const [largest] = packs().sort((a, b) => fs.statSync(b).size - fs.statSync(a).size);
  fs.rmSync(largest!);
  const recovered = await run('recover');
  t.equal(recovered.status, 3);
  t.match(recovered.out, /source of here: 0 versions intact, 1 rebuilt \(1 in part\), 1 lost/);
  t.match(recovered.said, /there in part, .*: 2\n/);
  const listed = await run('versions');
  const [name] = /\S+Z\.partial/.exec(listed.out) ?? [];
  t.equal(listed.out.trim().split('\n').length, 2, 'one version');
  t.equal(typeof name, 'string');
  const back = await run('download', name!, path.join(cwd, 'back'));
  t.match(back, { status: 3, said: /recovered in part: entries may be missing/ });
  t.equal(fs.readFileSync(path.join(cwd, 'back', 'b'), 'utf8'), 'b');
  const checked = await run('check');
  t.equal(checked.status, 13);
  t.match(checked.out, /source of here: version 1 LOST\nsource of here: version 2 recovered in part\n/);

  t.equal((await run('backup')).status, 0);
  const whole = await run('download', 'latest', path.join(cwd, 'whole'));
  t.match(whole, { status: 0, said: '' });
  t.notMatch((await run('versions')).out.trim().split('\n').at(-1), /partial/);
});
