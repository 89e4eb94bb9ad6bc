// Names as weapons, through a real mount: what can be no tree does not show, and hides nothing else; what can be one shows byte for
// byte, whatever it means to a terminal, and has no power here: neither devices nor setuid bits.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { deriveKeys, publicSecret, streamId } from '../../lib/crypto/index.js';
import { backup, mount } from '../../lib/index.js';
import type { Row } from '../../lib/manifest/types.js';
import { directory, headerOf, writeCommit } from '../manifest/fixture.js';
import { noMount, run } from '../mount/live.js';
import { Machine } from '../repository/fixture.js';
import { commitByHand, harmful, impossible, row, symlink } from './evil.js';

const nobody = 65534;
const host = 'machine.example';
/** What sources call themselves, and as what they are shown. */
const sourceNames: Readonly<Record<string, string>> = {
  '..': '_..',
  '.': '_.',
  'a/../../b': 'a_.._.._b',
  '\x1b[2J\n': '\x1b[2J\n',
  hosts: '',
  [`${'n'.repeat(300)}`]: `_${'n'.repeat(50)}`,
};

const powerful: readonly Row[] = [
  row('9 power', directory),
  row('9 power/disk', { type: 'block-device', rdevMajor: 8, mode: 0o666 }),
  row('9 power/fifo', { type: 'fifo' }),
  row('9 power/null', { type: 'character-device', rdevMajor: 1, rdevMinor: 3, mode: 0o666 }),
  row('9 power/out', symlink('/etc/hostname')),
];
/** The second version of a source: harmful rows among them. */
const evil = [...harmful, ...powerful];

/** What find(1) says of an entry: type, path, target of a symlink. */
function lineOf({ path, ...row }: Row): string {
  if (row.op === 'removed') throw new RangeError('a removed path');
  const { type, target } = row.entry;
  const letters = { directory: 'd', symlink: 'l', 'character-device': 'c', 'block-device': 'b', fifo: 'p' };
  const letter = letters[type as keyof typeof letters] ?? 'f';
  return `${letter} ${Buffer.from(path).toString('latin1')} ${Buffer.from(target).toString('latin1')}`;
}

void t.test('a mount of evil versions', { skip: noMount, timeout: 120_000 }, async (t) => {
  const maker = new Machine(t);
  const making = await maker.open();
  maker.write('d/file', 'content');
  const program = maker.at('source', 'id');
  fs.copyFileSync('/usr/bin/id', program);
  fs.chmodSync(program, 0o4755);
  await backup(making, { ...maker.source, name: 'evil' });
  const { context: reading, id } = making;
  const context = { ...reading, keys: deriveKeys(publicSecret(id)) };
  const names = [...Object.keys(impossible), ...Object.keys(sourceNames), 'evil'];
  const evilRows: Readonly<Record<string, readonly Row[]>> = { ...impossible, evil: evil };
  for (const source of names) {
    const stream = streamId(context.keys, host, source);
    const header = headerOf(1, '', { stream, host, source });
    const hash =
      making.catalog.stream(stream)?.headHash ??
      (await writeCommit(context, header, [row('', directory), row('d', directory), row('d/file')])).hash;
    const rows = evilRows[source];
    const parent = { stream, sequence: 1, hash };
    if (rows !== undefined) await commitByHand(context, parent, rows, { host, source });
  }

  const machine = new Machine(t, maker.store);
  fs.chmodSync(machine.directory, 0o755);
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const repository = await machine.open({ access: 'read', create: 'never', onWarning });
  const mountpoint = machine.at('mnt');
  fs.mkdirSync(mountpoint);
  const mounted = await mount(repository, { mountpoint, allowOther: true, onWarning });
  t.teardown(() => mounted.unmount());
  const at = (...below: string[]): string => path.join(mountpoint, ...below);
  const list = async (format: string, ...args: string[]): Promise<string[]> => {
    const { status, output, errors } = await run('find', [...args, '-printf', `${format}\\0`]);
    t.strictSame([status, errors], [0, '']);
    return output.split('\0').slice(0, -1);
  };

  await t.test('sources have names that stay where they are', async (t) => {
    const shown = await list('%f', mountpoint, '-mindepth', '1', '-maxdepth', '1');
    const right = [
      ...Object.keys(impossible),
      ...Object.values(sourceNames),
      'evil',
      'hosts',
      '.trackerignore',
    ];
    t.strictSame(shown.sort(), [...new Set(right)].filter((name) => name !== '').sort());
    const all = await list('%f', at('hosts', host), '-mindepth', '1', '-maxdepth', '1');
    t.equal(all.length, names.length, 'the one that is called hosts, too');
  });

  await t.test('what can be no tree does not show, and hides nothing else', async (t) => {
    for (const source of Object.keys(impossible)) {
      const shown = await list('%P', at(source), '-mindepth', '1', '-maxdepth', '1');
      const [version, ...others] = shown.sort();
      // The newest version is the one that does not show.
      t.strictSame(others, ['history'], `${source}: no current`);
      const below = await list('%P', at(source, version!), '-mindepth', '1');
      t.strictSame(below.sort(), ['d', 'd/file'], source);
    }
    t.equal(
      warnings.filter((warning) => warning.includes('version 2')).length,
      Object.keys(impossible).length,
    );
  });

  await t.test('all that is allowed shows as it is', async (t) => {
    const shown = await list('%y %P %l', at('evil/current/'), '-mindepth', '1');
    const before = [row('d', directory), row('d/file'), row('id')];
    t.strictSame(shown.sort(), [...evil, ...before].map(lineOf).sort());
    const inodes = await list('%i', at('evil/current/5 hard/twin'), at('evil/current/2 case/README'));
    t.equal(new Set(inodes).size, 2);
    const history = await list('%P', at('evil/history'), '-mindepth', '1', '-type', 'd');
    t.strictSame(
      history.sort(),
      [...evil, ...before].map(({ path }) => Buffer.from(path).toString('latin1')).sort(),
      'and so does what ever was',
    );
  });

  await t.test('nothing in it has power', async (t) => {
    const line = fs
      .readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((line) => line.split(' ')[4] === mountpoint)!;
    for (const flag of ['ro', 'nosuid', 'nodev']) t.ok(line.split(' ')[5]!.split(',').includes(flag), flag);
    for (const device of ['null', 'disk']) {
      const { status, errors } = await run('cat', [at('evil/current/9 power', device)]);
      t.not(status, 0);
      t.match(errors, /Permission denied/);
    }
    const setuid = await list('%m', at('evil/current/id'));
    t.strictSame(setuid, ['4755']);
    // By a shell: who starts a process waits for its program, which this process serves.
    const { output } = await run('sh', ['-c', '"$0" -u', at('evil/current/id')], { user: nobody });
    t.equal(output, `${nobody}\n`, 'a program of root runs as who calls it');
  });
});
