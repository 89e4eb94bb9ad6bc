// Scenario 27: the real commands, those that fail and --debug among them, with secrets that are easy to recognise: then everything
// that was written is searched for them, and, meanwhile, what ps shows of every process. And nothing that is written can be read
// by others, whatever the umask.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { readSlots, Unlocker } from '../../lib/keys/index.js';
import { openStore } from '../../lib/store/open.js';
import { command, newHome, type Home } from '../e2e/cli.js';
import { noMount } from '../mount/live.js';
import { answering, s3Error } from '../store/http-server.js';
import { everythingIn, filesWith, formsOf, ProcessWatch } from './watch.js';

const password = 'Recognisable-Pass-9f27c1';
const other = 'Recognisable-Other-77ab03';
const secretKey = 'Recognisable-S3-Secret-5d1e';
const skip = process.platform === 'linux' ? noMount : 'needs Linux';

/** Secrets go to the commands by a file, by the configuration, and by the environment. */
type Way = 'file' | 'configuration' | 'environment';

function setUp(home: Home, way: Way, store: string, given = password): void {
  const line =
    way === 'file'
      ? `password_file: ${home.at('password')}`
      : way === 'configuration'
        ? `crypt_password: ${given}`
        : '';
  if (way === 'file') fs.writeFileSync(home.at('password'), `${given}\n`, { mode: 0o600 });
  if (way === 'environment') home.environment['RRBACKUP_PASSWORD'] = given;
  else delete home.environment['RRBACKUP_PASSWORD'];
  home.configure(`[main]\nbase_path: ${home.at('source')}\n${line}\n${store}`);
}

function makeSource(home: Home): void {
  fs.mkdirSync(home.at('source'));
  fs.writeFileSync(home.at('source', 'file'), 'content\n');
}

async function repositorySecret(directory: string): Promise<Buffer> {
  const store = await openStore({ kind: 'directory', path: directory });
  const slots = await readSlots(store);
  await store.close();
  const text = fs.readFileSync(path.join(directory, 'rrbackup.json'), 'utf8');
  const { repository: repositoryId } = JSON.parse(text) as { repository: string };
  const unlocker = new Unlocker();
  const { secret } = await unlocker.unlock({ ...slots, password, repositoryId });
  await unlocker.close();
  return secret;
}

void t.test('secrets stay where they were given', { skip, timeout: 300_000 }, async (t) => {
  const home = newHome(t);
  makeSource(home);
  const store = `[directory]\npath: ${home.at('repository')}\n`;
  const given = [home.at('password'), home.at('rrbackup.ini')];
  const said: string[] = [];
  const watch = new ProcessWatch(formsOf([password, other]));
  const run = async (status: number, ...args: string[]): Promise<void> => {
    const result = await home.rr('--debug', '-v', ...args);
    said.push(result.stdout, result.stderr);
    t.equal(result.status, status, args.join(' '));
  };
  fs.mkdirSync(home.at('mnt'));
  for (const way of ['environment', 'file'] as const) {
    setUp(home, way, store);
    await run(0, 'backup');
    await run(0, 'mount', home.at('mnt'));
    // The test's own program is not given it.
    const given = home.environment['RRBACKUP_PASSWORD'];
    delete home.environment['RRBACKUP_PASSWORD'];
    t.ok(await home.run('ls', home.at('mnt', 'source', 'current')));
    if (given !== undefined) home.environment['RRBACKUP_PASSWORD'] = given;
    await run(0, 'umount', home.at('mnt'));
    fs.writeFileSync(home.at('source', 'file'), way);
  }
  await run(0, 'download', 'latest', home.at('back'));
  setUp(home, 'configuration', store, other);
  await run(12, 'versions');
  setUp(home, 'environment', store, other);
  await run(12, 'mount', home.at('mnt'));
  // What stands in the wrong place is not shown.
  home.configure(`[main]\nbase_path: /x\ncrypt_password: ${password}\nencryption: none\n${store}`);
  await run(2, 'versions');
  home.configure(`[main]\nbase_path: /x\ncrypt_password: ${password}\n  ${other}\n${store}`);
  await run(2, 'versions');
  await watch.stop();
  t.strictSame([...watch.found], [], 'no process shows one');
  t.ok(watch.seen.size >= 8, 'processes were watched');
  const forms = formsOf([password, other, await repositorySecret(home.at('repository'))]);
  t.strictSame(
    forms.filter((form) => said.some((text) => Buffer.from(text).includes(form))),
    [],
    'no output has one',
  );
  t.strictSame(filesWith(forms, home.directory, given), [], 'no file has one');
  fs.writeFileSync(home.at('planted'), `x${password}x`);
  t.strictSame(filesWith(forms, home.directory, given), [home.at('planted')], 'and the search would find it');
});

void t.test(
  'the secret key of S3 is in no error, not even with --debug',
  { skip, timeout: 300_000 },
  async (t) => {
    const home = newHome(t);
    makeSource(home);
    const forms = formsOf([secretKey, password]);
    const server = await answering(t, s3Error(403, 'SignatureDoesNotMatch'));
    const answers = [s3Error(403, 'AccessDenied'), s3Error(404, 'NoSuchBucket')];
    const section = `[s3]\nbucket: bucket\nendpoint: ${server.endpoint}\naccess_key: AKRECOGNISABLE\nsecret_key: ${secretKey}\n`;
    setUp(home, 'configuration', section);
    const watch = new ProcessWatch(forms);
    for (const answer of answers) {
      server.handlers.splice(0, server.handlers.length, answer);
      const { status, stdout, stderr } = await home.rr('--debug', '-v', 'backup');
      t.equal(status, 15);
      t.match(stderr, /\n\s+at /, 'with where it arose');
      t.notOk(forms.some((form) => Buffer.from(stdout + stderr).includes(form)));
    }
    await watch.stop();
    t.strictSame([...watch.found], []);
    t.strictSame(filesWith(forms, home.directory, [home.at('rrbackup.ini')]), []);
  },
);

void t.test(
  'what is written is for its user alone, under any umask',
  { skip, timeout: 300_000 },
  async (t) => {
    const home = newHome(t);
    makeSource(home);
    setUp(home, 'configuration', `[directory]\npath: ${home.at('repository')}\n`);
    home.environment['RRBACKUP_PASSWORD'] = password;
    const open = (configuration: string, ...args: string[]) =>
      home.run(
        'sh',
        '-c',
        'umask 000; exec "$@"',
        'sh',
        process.execPath,
        command,
        '-c',
        configuration,
        ...args,
      );
    const configuration = home.at('rrbackup.ini');
    fs.mkdirSync(home.at('mnt'));
    await open(configuration, 'backup');
    await open(configuration, 'mount', home.at('mnt'));
    await open(configuration, 'umount', home.at('mnt'));
    await open(configuration, 'key', 'export', '--output', home.at('exported'));
    const [second, source] = [home.at('second'), home.at('source')];
    await open(home.at('new', 'configuration.ini'), 'init', '--directory', second, '--source', source);
    const written = ['repository', 'state', 'cache', 'new', 'second'].flatMap((name) => [
      home.at(name),
      ...everythingIn(home.at(name)),
    ]);
    written.push(home.at('exported'));
    t.ok(written.length > 15, `${written.length} files and directories`);
    // Node writes its cache of compiled code itself; the directory around it keeps others out.
    const compiled = written.find((file) => path.basename(file).startsWith('compile'));
    const isOpen = (file: string): boolean => (fs.lstatSync(file).mode & 0o077) !== 0;
    const inCompiled = (file: string): boolean => compiled !== undefined && file.startsWith(`${compiled}/`);
    t.strictSame(
      written.filter((file) => isOpen(file) && !inCompiled(file)),
      [],
    );
  },
);
