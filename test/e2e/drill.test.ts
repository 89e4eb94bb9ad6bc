// Scenario 14 of TESTING.md on a real S3 server: everything deleted with plain delete requests, everything written over. All
// versions read as before, on a machine that has never seen them too, without any command but the one that reads.

import t from 'tap';
import { isRoot } from '../trees.js';
import { s3Server } from '../s3-server.js';
import { Drill, versions } from './drill.js';

void t.test('a stolen key that may not delete versions', { skip: !isRoot && 'needs root' }, async (t) => {
  const server = await s3Server(t);
  const state = server?.state;
  if (server === undefined || state === undefined) return t.comment('no Ceph of our own');
  const drill = await Drill.prepare(t, { server: { ...server, state }, files: 200, where: 'here' });
  const { home } = drill;
  const statuses = versions.map(() => 0);

  await t.test('everything deleted', async (t) => {
    t.ok((await drill.attack('deleted')) > versions.length * 2);
    const fresh = drill.newMachine();
    const { typed, differences } = await drill.downloads(fresh);
    t.strictSame(
      typed.map(({ status }) => status),
      statuses,
    );
    t.strictSame(differences, []);
    for (const { stderr } of typed)
      t.match(stderr, /rrbackup\.json was deleted .* rrbackup recover puts it back/);
    t.match(await drill.type(home, 'backup'), { status: 0, stdout: /nothing has changed/ });
    t.match(
      await drill.type(home, 'check'),
      {
        status: 13,
        stderr: /rrbackup\.json/,
        stdout: /1 FINDING, 0 damaged files; .*\nnow: rrbackup recover\n/,
      },
      'what is wrong is told, and what to do',
    );
  });

  await t.test('and everything written over', async (t) => {
    await drill.attack('overwritten');
    const fresh = drill.newMachine();
    const { typed, differences } = await drill.downloads(fresh);
    t.strictSame(
      typed.map(({ status }) => status),
      statuses,
    );
    t.strictSame(differences, []);
    t.match(await drill.type(home, 'recover'), { status: 0, stderr: /put back as it was/ });
    t.match(await drill.type(home, 'check', '--read-data'), { status: 0, stdout: /nothing is damaged/ });
  });
});
