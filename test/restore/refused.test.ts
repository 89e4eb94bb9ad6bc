// What a target refuses: one entry is told and all others are put back; only a full disk or a target that is gone ends it.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { Entry } from '../../lib/manifest/types.js';
import { makeNode } from '../../lib/posix/nodes.js';
import { type RestoreOptions, type RestoreResult, restore } from '../../lib/restore/index.js';
import { Disk } from '../crash/places.js';
import { isRoot, scratchDirectory } from '../trees.js';
import { MemoryRepository } from './memory-repository.js';

type Scope = Parameters<typeof scratchDirectory>[0];

interface World {
  readonly source: string;
  readonly target: string;
  readonly repository: MemoryRepository;
  readonly warnings: string[];
  put(options?: Partial<RestoreOptions>): Promise<RestoreResult>;
}

function world(t: Scope, fill: (source: string) => void, target?: string): World {
  const scratch = scratchDirectory(t);
  const source = path.join(scratch, 'source');
  fs.mkdirSync(source);
  fill(source);
  const repository = new MemoryRepository();
  repository.add(source, 1);
  const warnings: string[] = [];
  const made = {
    source,
    target: target ?? path.join(scratch, 'target'),
    repository,
    warnings,
    put: (options: Partial<RestoreOptions> = {}) => {
      warnings.length = 0;
      const onWarning = (message: string): void => void warnings.push(message);
      return restore({ repository, stream: 's', sequence: 1, target: made.target, onWarning, ...options });
    },
  };
  return made;
}

const files = (source: string): void => {
  for (const name of ['a', 'b', 'c', 'd']) fs.writeFileSync(path.join(source, name), `content of ${name}`);
};

for (const code of ['EIO', 'EPERM', 'EINVAL', 'ENOTSUP', 'ENAMETOOLONG', 'EACCES', 'ENOSPC', 'EDQUOT'])
  void t.test(`${code} at one file`, async (t) => {
    const { target, warnings, put } = world(t, files);
    const original = fs.writeSync;
    const write = (...args: unknown[]): unknown => {
      if (Buffer.from(args[1] as Uint8Array).toString() === 'content of b')
        throw Object.assign(new Error(code), { code });
      return Reflect.apply(original, fs, args) as unknown;
    };
    Object.assign(fs, { writeSync: write });
    try {
      if (code === 'ENOSPC' || code === 'EDQUOT') {
        await t.rejects(put(), { code: `restore.${code}` });
        return;
      }
      t.match(await put(), { failed: 1, files: 3 });
    } finally {
      Object.assign(fs, { writeSync: original });
    }
    t.match(warnings, [/^b cannot be put back/]);
    t.strictSame(fs.readdirSync(target), ['a', 'c', 'd']);
    t.match(await put(), { failed: 0, files: 4, alreadyRight: 3 });
  });

void t.test('a symlink that is too long', async (t) => {
  const { target, warnings, repository, put } = world(t, (source) => {
    files(source);
    fs.symlinkSync('anywhere', path.join(source, 'link'));
  });
  const known = (name: string): Entry => repository.catalog.find('', 1, Buffer.from(name))!.entry;
  repository.catalog.setVersion(1, [
    [Buffer.from(''), repository.catalog.root('', 1)!.entry],
    [Buffer.from('a'), known('a')],
    [Buffer.from('o link'), { ...known('link'), target: Buffer.alloc(5000, 'x') }],
    [Buffer.from('z'), known('d')],
  ]);
  t.match(await put(), { failed: 1, files: 2 });
  t.match(warnings, [/name too long/]);
  t.strictSame(fs.readdirSync(target), ['a', 'z']);
});

void t.test('a disk that is gone ends it', { skip: !isRoot }, async (t) => {
  const disk = await Disk.make(t, 16 << 20);
  if (disk === undefined) return;
  const { repository, warnings, put } = world(
    t,
    (source) => {
      for (let index = 0; index < 400; index++)
        fs.writeFileSync(path.join(source, `file ${index}`), `${index}`);
    },
    path.join(disk.path, 'target'),
  );
  repository.beforeRead = () => disk.fail();
  await t.rejects(put(), { code: /^restore\.(EIO|EROFS)$/ });
  t.ok(warnings.length <= 401, `${warnings.length}: of one request`);
  repository.beforeRead = () => Promise.resolve();
  await disk.restore();
  t.match(await put(), { failed: 0, files: 400 });
});

/** Undefined where this machine has no exFAT. */
function exfat(t: Scope & { comment(text: string): void }): string | undefined {
  const scratch = scratchDirectory(t);
  const [image, mounted] = [path.join(scratch, 'image'), path.join(scratch, 'mounted')];
  fs.mkdirSync(mounted);
  fs.writeFileSync(image, '');
  fs.truncateSync(image, 64 << 20);
  let device: string | undefined;
  try {
    execFileSync('mkfs.exfat', [image], { stdio: 'ignore' });
    device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
    execFileSync('mount.exfat-fuse', [device, mounted], { stdio: 'ignore' });
  } catch (error) {
    t.comment(`no exFAT: ${String(error)}`);
    if (device !== undefined) execFileSync('losetup', ['--detach', device]);
    return undefined;
  }
  t.teardown(() => {
    execFileSync('umount', [mounted]);
    execFileSync('losetup', ['--detach', device]);
  });
  return mounted;
}

void t.test(
  'exFAT: fifos, symlinks, hard links, modes, times, and names that are one',
  { skip: !isRoot },
  async (t) => {
    const mounted = exfat(t);
    if (mounted === undefined) return t.plan(0, 'there is no exFAT here');
    const { target, warnings, put } = world(
      t,
      (source) => {
        for (const name of ['A', 'a', 'B', 'plain'])
          fs.writeFileSync(path.join(source, name), `this is ${name}`);
        for (const name of ['Directory', 'directory']) {
          fs.mkdirSync(path.join(source, name));
          fs.writeFileSync(path.join(source, name, 'inside'), `in ${name}`);
        }
        fs.writeFileSync(path.join(source, 'LARGE'), 'upper');
        fs.writeFileSync(path.join(source, 'large'), 'lower');
        for (const name of ['LARGE', 'large']) fs.truncateSync(path.join(source, name), 9 << 20);
        fs.linkSync(path.join(source, 'plain'), path.join(source, 'twin'));
        fs.symlinkSync('plain', path.join(source, 'link'));
        makeNode(Buffer.from(path.join(source, 'pipe')), 'fifo');
      },
      path.join(mounted, 'target'),
    );
    for (const options of [{}, {}, { overwrite: true }, { inPlace: true }]) {
      t.match(
        await put(options),
        { failed: 5, conflicts: 0, files: 6, directories: 2 },
        JSON.stringify(options),
      );
      const text = warnings.join('\n');
      for (const name of ['a', 'large'])
        t.match(
          text,
          new RegExp(`^${name} is not put back: .*same|^${name} is not put back: .*its name`, 'im'),
        );
      t.match(text, /^directory is not put back/m);
      t.match(text, /^pipe cannot be put back: i\/o error/m);
      t.match(text, /^link cannot be put back/m);
      t.match(text, /^the permissions of .* could not be put back/m);
      t.match(text, /^the exact time of .* could not be put back/m);
      t.equal(fs.readFileSync(path.join(target, 'A'), 'utf8'), 'this is A');
      t.equal(fs.readFileSync(path.join(target, 'Directory', 'inside'), 'utf8'), 'in Directory');
      t.equal(fs.readFileSync(path.join(target, 'plain'), 'utf8'), 'this is plain');
    }
    const fresh = path.join(mounted, 'fresh');
    t.match(await put({ target: fresh, overwrite: true }), { failed: 5, files: 6 });
    t.equal(fs.readFileSync(path.join(fresh, 'A'), 'utf8'), 'this is A', 'not overwritten by a');
  },
);
