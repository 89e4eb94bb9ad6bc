// What is done through a mount, and what is measured while it is. Every scenario begins cold: kernel caches dropped, then a
// fresh mount. `check` must come out the same for every tool: what was read is what was backed up.

import { lstatSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { memory, peakMemory, read_bytes } from './server-figures.mjs';

const readers = fileURLToPath(new URL('readers.mjs', import.meta.url));
const randomReads = 3000;
const randomReadsS3 = 300;
const readersAtOnce = 64;
const environment = { LC_ALL: 'C', TZ: 'UTC' };

/** Files below a directory in order of their paths, without following links. */
function* files(directory, below = '') {
  for (const entry of readdirSync(join(directory, below), { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) yield* files(directory, path);
    else if (entry.isFile()) yield path;
  }
}

function weigh(directory) {
  let count = 0;
  let bytes = 0;
  for (const path of files(directory)) {
    count++;
    bytes += lstatSync(join(directory, path)).size;
  }
  return `${count} files, ${bytes} bytes`;
}

async function list({ session, scratch, root }) {
  const output = join(scratch, 'list');
  const { elapsed_s } = await session.run('ls', ['-lR', root], { output, env: environment });
  const { stdout } = await session.run('wc', ['-l', output]);
  return { elapsed_s, check: stdout.split(' ')[0] };
}

async function copy({ session, scratch, root }, program = ['cp', '-r']) {
  const to = join(scratch, 'copy');
  const [command, ...options] = program;
  await session.run('sync', []);
  const { elapsed_s } = await session.run(command, [...options, root, `${to}/`]);
  const check = weigh(to);
  rmSync(to, { recursive: true, force: true });
  return { elapsed_s, check };
}

async function readerProcess({ session }, ...args) {
  return JSON.parse((await session.run(process.execPath, [readers, ...args.map(String)])).stdout);
}

/** Seconds since the mount was begun. */
async function untilListed({ session, began_ms, mountpoint }) {
  await session.run('ls', [mountpoint]);
  return (performance.now() - began_ms) / 1000;
}

function sequential({ session, root }) {
  return session.run('dd', [`if=${root}big.bin`, 'of=/dev/null', 'bs=1M']);
}

/** All files, divided over many readers at once. */
async function readAll({ session, scratch, root, place }) {
  const lists = Array.from({ length: readersAtOnce }, () => []);
  let index = 0;
  for (const path of files(place.data)) lists[index++ % readersAtOnce].push(path);
  const began_ms = performance.now();
  await Promise.all(
    lists.map((paths, reader) => {
      const from = join(scratch, `list-${reader}`);
      writeFileSync(from, paths.map((path) => `${path}\0`).join(''));
      return session.run('xargs', ['-0', '-a', from, 'cat', '--'], { cwd: root, output: '/dev/null' });
    }),
  );
  return (performance.now() - began_ms) / 1000;
}

export const scenarios = [
  {
    lines: ['ls-first', 'ls-second'],
    data: 'system',
    async run(view) {
      const first = await list(view);
      const second = await list(view);
      return {
        'ls-first': first.elapsed_s,
        'ls-second': second.elapsed_s,
        check: `${first.check} ${second.check}`,
      };
    },
  },
  {
    lines: ['names-first'],
    data: 'names',
    async run({ session, root, scratch }) {
      const output = join(scratch, 'names');
      const { elapsed_s } = await session.run('ls', [root], { output, env: environment });
      const { stdout } = await session.run('wc', ['-l', output]);
      return { 'names-first': elapsed_s, check: stdout.split(' ')[0] };
    },
  },
  {
    lines: ['names-tar'],
    data: 'names',
    async run({ session, root }) {
      // To /dev/null itself tar would read no file.
      const { elapsed_s } = await session.run('sh', [
        '-c',
        'tar cf - -C "$1" . | cat >/dev/null',
        'sh',
        root,
      ]);
      return { 'names-tar': elapsed_s };
    },
  },
  {
    lines: ['cp-first', 'cp-second'],
    data: 'small',
    async run(view) {
      const first = await copy(view);
      const second = await copy(view);
      return {
        'cp-first': first.elapsed_s,
        'cp-second': second.elapsed_s,
        check: `${first.check} ${second.check}`,
      };
    },
  },
  {
    lines: ['sequential-first', 'sequential-second'],
    data: 'big',
    async run(view) {
      const first = await sequential(view);
      const second = await sequential(view);
      return { 'sequential-first': first.elapsed_s, 'sequential-second': second.elapsed_s };
    },
  },
  {
    lines: ['grep'],
    data: 'system',
    async run({ session, root }) {
      // Nothing is found, or grep would stop early: its output goes nowhere.
      const args = ['-r', 'words that stand in no file of this tree', root];
      const { elapsed_s } = await session.run('grep', args, { statuses: [1], env: environment });
      return { grep: elapsed_s };
    },
  },
  {
    lines: ['rsync'],
    data: 'system',
    async run(view) {
      const { elapsed_s, check } = await copy(view, ['rsync', '-a']);
      return { rsync: elapsed_s, check };
    },
  },
  {
    lines: ['diff'],
    data: 'system',
    otherData: 'system-copy',
    async run({ session, root, tool, place, dataPath }) {
      // The disk is compared with another copy: diff does not read a file that it compares with itself.
      const live = tool.kind === 'disk' ? await dataPath('system-copy') : place.data;
      const { elapsed_s } = await session.run('diff', ['-r', '--no-dereference', root, live], {
        env: environment,
      });
      return { diff: elapsed_s };
    },
  },
  {
    lines: ['random', 'random-read'],
    data: 'big',
    async run(view) {
      const { root, pid, place, touched_bytes } = view;
      const before = pid === undefined ? 0 : read_bytes(pid);
      const size = lstatSync(join(place.data, 'big.bin')).size;
      const { elapsed_s, check } = await readerProcess(view, 'random', `${root}big.bin`, size, randomReads);
      const read = pid === undefined ? undefined : read_bytes(pid) - before;
      const touched = await touched_bytes('big.bin', randomReads);
      return { random: elapsed_s, 'random-read': read && touched && read / touched, check };
    },
  },
  {
    lines: ['mount-cold'],
    data: 'system',
    isMountTimed: true,
    tools: ['peer', 'ours'],
    async run(view) {
      return { 'mount-cold': await untilListed(view) };
    },
  },
  {
    lines: ['mount', 'mount-resident', 'mount-anonymous'],
    data: 'system',
    isMountTimed: true,
    isWarm: true,
    tools: ['peer', 'ours'],
    async run(view) {
      const mount = await untilListed(view);
      const { resident, anonymous } = memory(view.pid);
      return { mount, 'mount-resident': resident, 'mount-anonymous': anonymous };
    },
  },
  {
    lines: ['mount-fresh'],
    data: 'system',
    isMountTimed: true,
    isCatalogFresh: true,
    tools: ['ours'],
    async run(view) {
      return { 'mount-fresh': await untilListed(view) };
    },
  },
  {
    lines: ['s3-cp'],
    data: 's3-small',
    store: 's3',
    async run(view) {
      const { elapsed_s, check } = await copy(view);
      return { 's3-cp': elapsed_s, check };
    },
  },
  {
    lines: ['s3-mixed', 's3-mixed-received'],
    data: 's3-mixed',
    store: 's3',
    async run(view) {
      const before = await view.s3.counts();
      const { elapsed_s, check } = await copy(view);
      const received_bytes = (await view.s3.counts()).received_bytes - before.received_bytes;
      return { 's3-mixed': elapsed_s, 's3-mixed-received': received_bytes / 1e6, check };
    },
  },
  {
    lines: ['s3-first-byte', 's3-first-byte-requests'],
    data: 's3-mixed',
    store: 's3',
    async run(view) {
      const { s3, place, root } = view;
      const paths = [...files(place.data)];
      const path = paths[Math.floor(paths.length / 2)];
      const before = await s3.counts();
      const { elapsed_s, check } = await readerProcess(view, 'first-byte', root + path);
      const requests = (await s3.counts()).requests - before.requests;
      const roundTrips = (elapsed_s * 1000) / s3.roundTrip_ms;
      return { 's3-first-byte': roundTrips, 's3-first-byte-requests': requests, check };
    },
  },
  {
    lines: ['s3-ls', 's3-ls-requests'],
    data: 's3-mixed',
    store: 's3',
    async run(view) {
      const { session, s3, root } = view;
      const before = await s3.counts();
      const listed = await list(view);
      const found = await session.run('find', [root, '-newermt', '1990-01-01'], { output: '/dev/null' });
      const stated = await session.run('stat', [root]);
      const requests = (await s3.counts()).requests - before.requests;
      const elapsed_s = listed.elapsed_s + found.elapsed_s + stated.elapsed_s;
      return { 's3-ls': elapsed_s, 's3-ls-requests': requests, check: listed.check };
    },
  },
  {
    lines: ['s3-random', 's3-random-received'],
    data: 'big',
    store: 's3',
    async run(view) {
      const { s3, root, place, touched_bytes } = view;
      const before = await s3.counts();
      const size = lstatSync(join(place.data, 'big.bin')).size;
      const { elapsed_s, check } = await readerProcess(view, 'random', `${root}big.bin`, size, randomReadsS3);
      const received_bytes = (await s3.counts()).received_bytes - before.received_bytes;
      const touched = await touched_bytes('big.bin', randomReadsS3);
      return { 's3-random': elapsed_s, 's3-random-received': touched && received_bytes / touched, check };
    },
  },
  {
    lines: ['memory-resident', 'memory-anonymous', 'memory-mapped', 'memory-time'],
    data: 'system',
    tools: ['peer', 'ours'],
    isOnce: true,
    async run(view) {
      let elapsed_s;
      const peak = await peakMemory(view.pid, async () => (elapsed_s = await readAll(view)));
      return {
        'memory-resident': peak.resident,
        'memory-anonymous': peak.anonymous,
        'memory-mapped': peak.mapped,
        'memory-time': elapsed_s,
      };
    },
  },
];
