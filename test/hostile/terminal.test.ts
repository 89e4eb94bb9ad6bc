// What a terminal gets to see of names that somebody has chosen to fool it: of files, hosts, sources, users and programs. No command
// sends a raw control byte, or a line that is not its own; only the progress line moves the cursor, with two bytes of its own.

import fs from 'node:fs';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import t from 'tap';
import { commandWords, createCli } from '../../commands/cli.js';
import { runCommandLine } from '../../commands/usage.js';
import { backup, openRepository } from '../../lib/index.js';
import { streamId } from '../../lib/crypto/index.js';
import type { Row } from '../../lib/manifest/types.js';
import { added, directory, headerOf, writeCommit } from '../manifest/fixture.js';
import { scratchDirectory } from '../trees.js';

const forged = 'rrbackup: all is well';
const evil = `\x1b[2J\x1b]0;title\x07\x9b31m\x08\x7f\r\n${forged}\n\u202egpj.\u2066`;
const name = evil.replaceAll('/', '');
/** What the progress line takes itself away with. */
const clearLine = '\r\x1b[K';

const home = scratchDirectory(t);
const at = (...names: string[]): string => path.join(home, ...names);
const source = {
  name,
  path: at('source'),
  exclude: [],
  excludeFiles: [],
  oneFileSystem: false,
  excludeCaches: false,
};

/** Versions by backup, and one by hand, of a host that has an evil name. */
async function prepare(): Promise<void> {
  fs.mkdirSync(at('source', `d${name}`), { recursive: true });
  fs.writeFileSync(at('source', name), 'content');
  fs.writeFileSync(at('source', `d${name}`, name), 'content');
  fs.symlinkSync(evil, at('source', `l${name}`));
  const repository = await openRepository(
    {
      store: { kind: 'directory', path: at('repository') },
      encryption: 'none',
      password: () => Promise.resolve(''),
      commitLocked: false,
      host: evil,
      catalogPath: at('by-hand.mdb'),
      stateDirectory: at('by-hand-state'),
      cacheDirectory: at('by-hand-cache'),
    },
    { access: 'write', create: 'if-new', note: () => undefined },
  );
  await backup(repository, source);
  fs.writeFileSync(at('source', name), 'changed');
  fs.renameSync(at('source', `l${name}`), at('source', `m${name}`));
  await backup(repository, source);
  const { headHash } = repository.catalog.stream(repository.streamId(name))!;
  const user = { uid: 4242, gid: 4242 };
  const rows: Row[] = [
    added(`z${name}`, { ...directory, ...user }),
    added(`z${name}/lost`, {
      ...user,
      size_bytes: 1,
      content: [{ kind: 'chunk', id: Buffer.alloc(32, 1), size_bytes: 1 }],
    }),
    added(`z${name}/owned`, {
      ...user,
      xattrs: [{ name: Buffer.from(`evil.${name}`), value: Buffer.from('v') }],
    }),
  ];
  const header = {
    stream: streamId(repository.context.keys, evil, name),
    host: evil,
    source: name,
    sourcePath: Buffer.from(`/${name}`),
    program: evil,
    userNames: new Map([[4242, evil]]),
    groupNames: new Map([[4242, evil]]),
  };
  await writeCommit(repository.context, headerOf(3, headHash, header), rows);
  await repository.close();
  fs.writeFileSync(
    at('rrbackup.ini'),
    `[main]\nbase_path: ${at('source')}\nhost: here\nencryption: none\n[directory]\npath: ${at('repository')}\n`,
    { mode: 0o600 },
  );
}
await prepare();

async function shown(...args: string[]): Promise<{ status: number; text: string }> {
  const terminal = (): PassThrough => Object.assign(new PassThrough(), { isTTY: true, columns: 200 });
  const [stdout, stderr] = [terminal(), terminal()];
  const said = [buffer(stdout), buffer(stderr)];
  const argv = ['-c', at('rrbackup.ini'), ...args];
  const status = await runCommandLine(createCli({ colors: false }), commandWords, argv, {
    env: {
      HOME: home,
      XDG_CONFIG_HOME: at('config'),
      XDG_STATE_HOME: at('state'),
      XDG_CACHE_HOME: at('cache'),
    },
    stdin: new PassThrough(),
    stdout,
    stderr,
    colorDepth: 1,
    cwd: home,
    home,
    signal: new AbortController().signal,
    program: [process.execPath],
    argv,
    parent: undefined,
  });
  stdout.end();
  stderr.end();
  return { status, text: Buffer.concat(await Promise.all(said)).toString('utf8') };
}

const theirs = ['--host', evil, '--source', name];
const commands: readonly (readonly [string[], number])[] = [
  [['versions', ...theirs], 0],
  [['versions', '-v', ...theirs, '--json'], 0],
  [['versions'], 1],
  [['versions', '--host', evil, '--source', 'other'], 1],
  [['versions', '--host', `x${evil}`, '--debug'], 1],
  [['files', 'latest', ...theirs, '-v'], 0],
  [['files', 'latest', ...theirs, '--json'], 0],
  [['files', 'latest', ...theirs, `no${name}`], 1],
  [['files', `latest${evil}`, ...theirs], 1],
  [['changes', '1', '3', ...theirs], 0],
  [['changes', '1', '3', ...theirs, '--json'], 0],
  [['history', name, ...theirs], 0],
  [['history', `l${name}`, ...theirs], 0],
  [['history', name, ...theirs, '--json'], 0],
  [['history', `no${name}`, ...theirs], 1],
  [['cat', 'latest', `m${name}`, ...theirs, '--debug'], 1],
  [['cat', 'latest', `z${name}/lost`, ...theirs, '--debug'], 1],
  [['download', 'latest', at('out'), ...theirs, '-v'], 3],
  [['download', '1', at('out'), ...theirs], 3],
  [['download', '1', at('out'), ...theirs, '--json'], 3],
  [['download', 'latest', at(`no${name}`), ...theirs, `no${name}`, '--debug'], 1],
  [['backup', '-v'], 0],
  [['backup', '-v', '--dry-run'], 0],
  [['key', 'list'], 0],
  [[evil], 2],
  [['files', `--${evil}`], 2],
  [['recover', '-v'], 3],
  [['check', '-v'], 13],
  [['check', '--read-data', '--json'], 13],
  [['repair', '-v'], 13],
];

for (const [args, status] of commands) {
  void t.test(args.map((argument) => JSON.stringify(argument.slice(0, 12))).join(' '), async (t) => {
    const result = await shown(...args);
    if (status === 1) t.not(result.status, 0);
    else t.equal(result.status, status, result.text);
    const text = result.text.replaceAll(clearLine, '');
    const raw = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/.exec(text);
    t.equal(
      raw,
      null,
      raw === null ? 'no raw control byte' : JSON.stringify(text.slice(raw.index - 50, raw.index + 50)),
    );
    t.notOk(
      text.split('\n').some((line) => line.startsWith(forged)),
      'no forged line',
    );
    t.ok(text.length > 0);
  });
}
