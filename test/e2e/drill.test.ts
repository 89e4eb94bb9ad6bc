// Scenario 14 of TESTING.md on a real S3 server: everything deleted with plain delete requests, everything written over. All
// versions read as before, on a machine that has never seen them too, without any command but the one that reads.

import t from 'tap';
import { isRoot } from '../trees.js';
import { s3Server } from '../s3-server.js';
import { type Attack, Drill, versions } from './drill.js';

void t.test('a stolen key that may not delete versions', { skip: !isRoot && 'needs root' }, async (t) => {
  const server = await s3Server(t);
  const state = server?.state;
  if (server === undefined || state === undefined) return t.comment('no Ceph of our own');
  const drill = await Drill.prepare(t, { server: { ...server, state }, files: 400, where: 'here' });
  const attacks: readonly Attack[] = ['deleted', 'overwritten'];
  for (const how of attacks) {
    await t.test(how, async (t) => {
      t.ok((await drill.attack(how)) > versions.length * 2);
      const fresh = drill.newMachine();
      const listed = await drill.type(fresh, 'versions');
      t.match(listed, {
        status: 0,
        stderr: /rrbackup\.json was deleted or written over.* recover puts it back/,
      });
      const { typed, differences } = await drill.downloads(fresh);
      t.strictSame(
        typed.map(({ status }) => status),
        versions.map(() => 0),
      );
      t.strictSame(differences, []);

      const { home } = drill;
      t.match(await drill.type(home, 'backup'), { status: 0, stdout: /nothing has changed|unchanged/i });
      const checked = await drill.type(home, 'check');
      t.match(checked, { status: 13, stderr: /rrbackup\.json/ }, 'what is wrong is told');
      t.match(await drill.type(home, 'recover'), { status: 0, stderr: /put back as it was/ });
      t.match(await drill.type(home, 'check', '--read-data'), { status: 0, stdout: /nothing is damaged/ });
    });
  }
});
