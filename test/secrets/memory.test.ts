// A repository is opened with a password, and closed: what is left in the process's memory? Buffers with the password, the key made
// from it, the repository secret and its subkeys are overwritten. What is not promised: the password as a JavaScript string (the
// configuration's text and what was cut out of it), and copies of subkeys that threads were given (a backup, a restore, a mount):
// they go with the process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { newHome } from '../e2e/cli.js';
import { scratchDirectory } from '../trees.js';
import { foundIn, password, secretsOf } from './process-memory.js';

const skip = process.platform !== 'linux' || process.geteuid?.() !== 0 ? 'needs root on Linux' : false;

void t.test('what lies in memory', { skip }, async (t) => {
  const home = scratchDirectory(t);
  fs.mkdirSync(path.join(home, 'source'));
  fs.writeFileSync(path.join(home, 'password'), `${password}\n`, { mode: 0o600 });
  const repository = path.join(home, 'repository');
  fs.writeFileSync(
    path.join(home, 'ini'),
    `[main]\nbase_path: ${home}/source\npassword_file: ${home}/password\n[directory]\npath: ${repository}\n`,
    { mode: 0o600 },
  );
  const script = fileURLToPath(new URL('./memory-child.js', import.meta.url));
  const look = async (name: string) => {
    await t.test(name, async (t) => {
      const child = spawn(process.execPath, [script, home], { stdio: ['pipe', 'pipe', 'inherit'] });
      t.teardown(() => child.kill('SIGKILL'));
      const says = async (): Promise<string> =>
        String(((await once(child.stdout, 'data')) as [Buffer])[0]).trim();
      t.equal(await says(), 'open');
      const secrets = await secretsOf(repository);
      const whileOpen = foundIn(child.pid!, secrets);
      t.ok(whileOpen.includes('the repository secret'), 'the search finds what is there');
      t.notOk(whileOpen.includes('the password'), 'no password while it is open');
      t.notOk(whileOpen.includes('the key made from it'), 'nor the key made from it');
      child.stdin.write('\n');
      t.equal(await says(), 'closed');
      t.strictSame(foundIn(child.pid!, secrets), [], 'nothing once it is closed');
      child.stdin.end('\n');
    });
  };
  await look('made and opened');
  await look('opened again, by what this machine remembers');
});

void t.test('what lies in the memory of a mount in the background', { skip }, async (t) => {
  const home = newHome(t);
  for (const name of ['source', 'mnt']) fs.mkdirSync(home.at(name));
  fs.writeFileSync(home.at('source', 'file'), 'content');
  fs.writeFileSync(home.at('password'), `${password}\n`, { mode: 0o600 });
  home.configure(
    `[main]\nbase_path: ${home.at('source')}\npassword_file: ${home.at('password')}\n[directory]\npath: ${home.at('repository')}\n`,
  );
  await home.ok('backup');
  const { pid } = JSON.parse(await home.ok('mount', '--json', home.at('mnt'))) as { pid: number };
  t.equal(await home.run('cat', home.at('mnt', 'source', 'current', 'file')), 'content');
  const found = foundIn(pid, await secretsOf(home.at('repository')));
  t.ok(found.includes('subkey wrap'), 'the search finds what is there');
  t.notOk(found.includes('the password'), 'not the password, which came over the channel');
  t.notOk(found.includes('the key made from it'), 'nor the key made from it');
  await home.ok('umount', home.at('mnt'));
});
