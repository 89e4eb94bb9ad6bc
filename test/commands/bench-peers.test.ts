// The other tools that scripts/bench is given: which command line each speaks, and what is said of one that cannot be.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const program = fileURLToPath(new URL('../../../scripts/bench-common/peers.mjs', import.meta.url));

function read(...peers: string[]): unknown {
  const text = `
    import { makePeer, readPeers } from ${JSON.stringify(program)};
    try {
      const peers = readPeers(${JSON.stringify(peers)});
      const place = { directory: '/tmp/x', data: '/data', s3: undefined };
      console.log(JSON.stringify(peers.map((peer) => {
        const { name, kind, ...tool } = makePeer(undefined, peer);
        const { command, args } = makePeer(undefined, peer).backupCommand(place);
        return { name, kind, command, args };
      })));
    } catch (error) {
      console.log(JSON.stringify(error.message));
    }`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', text], { encoding: 'utf8' });
  return JSON.parse(stdout);
}

void t.test('each is run as the tool that its name begins with', async (t) => {
  const script = fileURLToPath(new URL('../../commands/main.js', import.meta.url));
  t.match(
    read('restic-0.18=/bin/true', 'borg2=/bin/true', 'rrbackup-old=/bin/true', `rrbackup-js=${script}`),
    [
      { name: 'restic-0.18', kind: 'peer', command: '/bin/true', args: ['-q', '-r'] },
      { name: 'borg2', kind: 'peer', command: '/bin/true', args: ['create'] },
      { name: 'rrbackup-old', kind: 'peer', command: '/bin/true', args: ['-q', '-c'] },
      { name: 'rrbackup-js', kind: 'peer', command: process.execPath, args: [script, '-q', '-c'] },
    ],
  );
});

void t.test('what cannot be', async (t) => {
  for (const [peer, said] of [
    ['kopia=/bin/true', /^--peer kopia: NAME begins with the tool .*: restic, borg, rrbackup$/],
    ['restic', /wants NAME=PATH/],
    ['../restic=/bin/true', /wants NAME=PATH/],
    ['restic=/bin/true', /another tool of this run is called so/],
    ['restic-x=/nowhere', /\/nowhere cannot be run/],
    ['restic-x=/tmp', /\/tmp cannot be run/],
  ] as const)
    t.match(read(peer), said, peer);
  t.match(read('borg2=/bin/true', 'borg2=/bin/true'), /another tool/);
});
