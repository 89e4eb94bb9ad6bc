import t from 'tap';
import { chmodSync, chownSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BackgroundChild, startInBackground } from '../../commands/background.js';
import { fileURLToPath } from 'node:url';

const background = fileURLToPath(new URL('../../commands/background.js', import.meta.url));
const errors = fileURLToPath(new URL('../../lib/errors/index.js', import.meta.url));

/** A child that does `body`, with `parent` and `password` at hand. */
function start(test: Pick<typeof t, 'testdir'>, body: string, signal = new AbortController().signal) {
  const cwd = test.testdir({
    'child.mjs': `
      import { parentProcess } from ${JSON.stringify(background)};
      import { RrbackupError } from ${JSON.stringify(errors)};
      const parent = parentProcess();
      const password = await parent.begin();
      ${body}
    `,
  });
  const command = [process.execPath, join(cwd, 'child.mjs'), 'argument'];
  const logFile = join(cwd, 'state/child.log');
  const environment = { PATH: process.env['PATH'] };
  return {
    logFile,
    started: startInBackground({ command, cwd, environment, logFile, password: 'secret', signal }),
  };
}

t.test('the password arrives over the channel, and nowhere else', async (t) => {
  const { logFile, started } = start(
    t,
    `console.log(JSON.stringify({ password, cwd: process.cwd(), argv: process.argv.slice(2), env: Object.values(process.env) }));
     parent.ready();`,
  );
  t.type(await started, 'number');
  const seen = JSON.parse(readFileSync(logFile, 'utf8')) as { argv: string[]; env: string[] };
  t.match(seen, { password: 'secret', cwd: '/', argv: ['argument', '--in-background'] });
  t.notOk(seen.env.includes('secret'));
  t.equal(statSync(logFile).mode & 0o777, 0o600);
});

t.test('whoever waits hears how far it is', async (t) => {
  const cwd = t.testdir({
    'child.mjs': `
      import { parentProcess } from ${JSON.stringify(background)};
      const parent = parentProcess();
      await parent.begin();
      for (const files_done of [1, 2]) parent.progress({ phase: 'catalog', files_done, bytes_done: 0 });
      parent.ready();
    `,
  });
  const seen: number[] = [];
  await startInBackground({
    command: [process.execPath, join(cwd, 'child.mjs')],
    cwd,
    environment: { PATH: process.env['PATH'] },
    logFile: join(cwd, 'log'),
    password: undefined,
    signal: new AbortController().signal,
    onProgress: ({ files_done }) => seen.push(files_done),
  });
  t.strictSame(seen, [1, 2]);
});

t.test('a child that is started ahead waits to be told, however late', async (t) => {
  const cwd = t.testdir({
    'child.mjs': `
      import { writeFileSync } from 'node:fs';
      import { parentProcess } from ${JSON.stringify(background)};
      const parent = parentProcess();
      const password = await parent.begin();
      writeFileSync(${JSON.stringify(join(t.testdirName, 'begun'))}, password);
      parent.ready();
    `,
  });
  const command = [process.execPath, join(cwd, 'child.mjs')];
  const environment = { PATH: process.env['PATH'] };
  const child = new BackgroundChild({ command, cwd, environment });
  await child.waiting;
  t.notOk(existsSync(join(cwd, 'begun')));
  const signal = new AbortController().signal;
  await child.begin({ logFile: join(cwd, 'log'), password: 'late', signal });
  t.equal(readFileSync(join(cwd, 'begun'), 'utf8'), 'late');
});

t.test('an error keeps its class, its status and its guidance', async (t) => {
  const { started } = start(
    t,
    `parent.failed(new RrbackupError({ code: 'x.y', kind: 'busy', message: 'm', guidance: 'g' }));`,
  );
  await t.rejects(started, { name: 'RrbackupError', code: 'x.y', exitStatus: 11, guidance: 'g' });
});

t.test('a child that ends without a word, and one that is told to stop', async (t) => {
  const dead = start(t, `process.kill(process.pid, 'SIGKILL');`);
  await t.rejects(dead.started, { code: 'background.ended', message: /SIGKILL/ });
  const stop = new AbortController();
  const waiting = start(t, `setInterval(() => undefined, 1000);`, stop.signal);
  setImmediate(() => stop.abort());
  await t.rejects(waiting.started, { code: 'interrupted' });
});

t.test('a log is written to a file of this user only, through no symlink', async (t) => {
  const cwd = t.testdir({
    'child.mjs': `
      import { parentProcess } from ${JSON.stringify(background)};
      await parentProcess().begin();
      parentProcess().ready();
    `,
    precious: 'precious',
    log: t.fixture('symlink', 'precious'),
    shared: {},
  });
  const begin = (logFile: string) =>
    startInBackground({
      command: [process.execPath, join(cwd, 'child.mjs')],
      cwd,
      environment: { PATH: process.env['PATH'] },
      logFile: join(cwd, logFile),
      password: undefined,
      signal: new AbortController().signal,
    });
  await t.rejects(begin('log'), {
    code: 'background.log',
    message: /the log .* cannot be written: too many symbolic/,
  });
  t.equal(readFileSync(join(cwd, 'precious'), 'utf8'), 'precious');
  chmodSync(join(cwd, 'shared'), 0o777);
  await t.rejects(begin('shared/log'), { code: 'background.log', message: /others can write to / });
  t.notOk(existsSync(join(cwd, 'shared/log')));
  if (process.getuid?.() === 0) {
    writeFileSync(join(cwd, 'foreign'), 'foreign');
    chownSync(join(cwd, 'foreign'), 4242, 4242);
    await t.rejects(begin('foreign'), { code: 'background.log', message: /is not a file of this user's/ });
    t.equal(readFileSync(join(cwd, 'foreign'), 'utf8'), 'foreign');
  }
});
