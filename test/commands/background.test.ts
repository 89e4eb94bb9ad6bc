import t from 'tap';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { startInBackground } from '../../commands/background.js';
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
