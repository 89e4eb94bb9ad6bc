// What an ordinary user gets back of a tree that root had: no setuid bit without having asked, and never for another owner; no
// device, whoever asks. The real command, as a user who owns nothing here.

import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import t from 'tap';
import { setMode } from '../../lib/posix/attributes.js';
import { makeNode } from '../../lib/posix/nodes.js';
import { setXattr } from '../../lib/posix/xattr.js';
import { command, newHome, outcome } from '../e2e/cli.js';
import { isRoot } from '../trees.js';

const nobody = 65534;
const asNobody = [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];

function whyNot(): string | false {
  if (!isRoot || process.platform !== 'linux') return 'needs root on Linux';
  const { status } = spawnSync('setpriv', [...asNobody, 'test', '-r', command]);
  return status === 0 ? false : 'needs setpriv, and a project that another user may read';
}

void t.test('downloaded by an ordinary user', { skip: whyNot() }, async (t) => {
  const home = newHome(t);
  const source = (name: string): string => home.at('source', name);
  fs.chmodSync(home.directory, 0o755);
  fs.mkdirSync(home.at('source'));
  for (const name of ['plain', 'of root', 'of nobody', 'group of nobody', 'capable'])
    fs.writeFileSync(source(name), '#!/bin/sh\n');
  fs.mkdirSync(source('shared'));
  for (const name of ['of nobody', 'group of nobody', 'shared']) fs.chownSync(source(name), nobody, nobody);
  setMode(Buffer.from(source('of root')), 0o6755);
  setMode(Buffer.from(source('of nobody')), 0o4755);
  setMode(Buffer.from(source('group of nobody')), 0o2755);
  setMode(Buffer.from(source('shared')), 0o2775);
  const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
  setXattr(Buffer.from(source('capable')), Buffer.from('security.capability'), capability);
  makeNode(Buffer.from(source('null')), 'character-device', 1, 3);
  makeNode(Buffer.from(source('disk')), 'block-device', 259, 70_000);
  makeNode(Buffer.from(source('fifo')), 'fifo');
  home.configure(
    `[main]\nbase_path: ${home.at('source')}\nencryption: none\n[directory]\npath: ${home.at('repository')}\n`,
  );
  await home.ok('backup');
  for (const directory of ['repository', 'state', 'cache', 'rrbackup.ini'])
    await home.run('chown', '-R', `${nobody}:${nobody}`, home.at(directory));

  /** Modes by name of what came out, and what was said. */
  const downloaded = async (target: string, user: boolean, ...options: string[]) => {
    const args = [
      process.execPath,
      command,
      '-c',
      home.at('rrbackup.ini'),
      'download',
      'latest',
      target,
      ...options,
    ];
    if (user) {
      fs.mkdirSync(target);
      fs.chownSync(target, nobody, nobody);
    }
    const [program, ...rest] = user ? ['setpriv', ...asNobody, ...args] : args;
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    const said = await outcome(
      spawn(program!, rest, { env: home.environment, cwd: home.directory, stdio: [...stdio] }),
    );
    const names = fs.existsSync(target) ? fs.readdirSync(target) : [];
    const modes = names.map((name): [string, string] => {
      const { mode, uid } = fs.lstatSync(`${target}/${name}`);
      return [name, `${(mode & 0o7777).toString(8)} ${uid}`];
    });
    return { ...said, modes: Object.fromEntries(modes) };
  };

  const users = await downloaded(home.at('as user'), true);
  t.equal(users.status, 3, users.stderr);
  t.match(users.stderr, /null cannot be put back[^]*|disk cannot be put back/);
  t.match(users.stderr, /setuid and setgid bits of .*of nobody are not put back/);
  const others = {
    plain: `644 ${nobody}`,
    capable: `644 ${nobody}`,
    fifo: `600 ${nobody}`,
    shared: `2775 ${nobody}`,
  };
  t.strictSame(users.modes, {
    ...others,
    'of root': `755 ${nobody}`,
    'of nobody': `755 ${nobody}`,
    'group of nobody': `755 ${nobody}`,
  });

  const asked = await downloaded(home.at('as user who asks'), true, '--setuid');
  t.strictSame(asked.modes, {
    ...others,
    'of root': `755 ${nobody}`,
    'of nobody': `4755 ${nobody}`,
    'group of nobody': `2755 ${nobody}`,
  });

  for (const directory of ['repository', 'state', 'cache', 'rrbackup.ini'])
    await home.run('chown', '-R', '0:0', home.at(directory));
  const roots = await downloaded(home.at('as root'), false);
  t.equal(roots.status, 0, roots.stderr);
  t.match(roots.modes, { 'of root': '6755 0', 'of nobody': `4755 ${nobody}`, null: '600 0', disk: '600 0' });
});
