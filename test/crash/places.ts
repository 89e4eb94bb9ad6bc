// Where the rounds are played: repositories in a directory, in a real bucket, on a disk whose power can be cut; and what can
// break there.

import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { type Home, newHome } from '../e2e/cli.js';
import type { S3Server } from '../s3-server.js';
import { scratchDirectory } from '../trees.js';
import { umount } from '../umount.js';
import { type End, Rounds } from './rounds.js';

const run = promisify(execFile);
type Scope = Pick<Test, 'teardown'>;

function configure(home: Home, repository: string): void {
  fs.mkdirSync(home.at('source'), { recursive: true });
  home.configure(`[main]\nbase_path: ${home.at('source')}\nencryption: none\n${repository}`);
}

interface Size {
  /** Of new contents in each round, beside small files. */
  readonly large_bytes: number;
}

export function directoryRounds(t: Scope, size: Size): Rounds {
  const home = newHome(t, {}, 'here');
  configure(home, `[directory]\npath: ${home.at('repository')}\n`);
  return new Rounds(home, { kind: 'directory', path: home.at('repository') }, size);
}

export async function bucketRounds(t: Scope, server: S3Server, size: Size): Promise<Rounds> {
  const home = newHome(t, {}, 'here');
  const { endpoint, accessKey, secretKey } = server;
  const bucket = await server.newBucket();
  const keys = `access_key: ${accessKey}\nsecret_key: ${secretKey}\n`;
  configure(home, `[s3]\nbucket: ${bucket}\nendpoint: ${endpoint}\nprefix: crash\n${keys}`);
  const store = { kind: 's3', bucket, prefix: 'crash', endpoint, accessKey, secretKey } as const;
  return new Rounds(home, store, size);
}

/** An ext4 file system in a file. */
export class Disk {
  readonly path: string;
  readonly #image: string;

  private constructor(directory: string) {
    this.path = path.join(directory, 'disk');
    this.#image = path.join(directory, 'image');
  }

  /** Undefined, with the reason as a comment, where this user or this machine cannot have one. */
  static async make(t: Scope & Pick<Test, 'comment'>, size_bytes: number): Promise<Disk | undefined> {
    const disk = new Disk(scratchDirectory(t));
    fs.mkdirSync(disk.path);
    fs.writeFileSync(disk.#image, '');
    fs.truncateSync(disk.#image, size_bytes);
    try {
      await run('mkfs.ext4', ['-q', '-m0', disk.#image]);
      await disk.#mount();
      await disk.cut();
    } catch (error) {
      t.comment(`no disk to cut the power of: ${String(error)}`);
      return undefined;
    }
    t.teardown(() => run('umount', ['-l', disk.path]));
    return disk;
  }

  /** What no sync has brought to the disk is lost at once; who still uses it gets EIO, until `restore`. */
  async fail(): Promise<void> {
    // FS_IOC_SHUTDOWN with FS_SHUTDOWN_FLAGS_NOLOGFLUSH; perl is part of every Debian.
    const script =
      'open my $d, "<", $ARGV[0] or die; my $how = pack "L", 2; ioctl $d, 0x8004587d, $how or die $!';
    await run('perl', ['-e', script, this.path]);
  }

  /** The power is back. Nobody may use the disk now. */
  async restore(): Promise<void> {
    await umount(this.path);
    await this.#mount();
  }

  async cut(): Promise<void> {
    await this.fail();
    await this.restore();
  }

  #mount(): Promise<unknown> {
    return run('mount', ['-o', 'loop', this.#image, this.path]);
  }
}

/** Repository, state and cache on one disk. */
export function diskRounds(t: Scope, disk: Disk, size: Size): Rounds {
  const at = (name: string): string => path.join(disk.path, name);
  const home = newHome(t, { XDG_STATE_HOME: at('state'), XDG_CACHE_HOME: at('cache') }, 'here');
  configure(home, `[directory]\npath: ${at('repository')}\n`);
  return new Rounds(home, { kind: 'directory', path: at('repository') }, { ...size, forgets: true });
}

/** The machine loses its power, or, every other time, its disk alone, and the backup has to say so. */
export function powerCut(disk: Disk): End {
  return async (backup, ended) => {
    if (Math.random() < 0.5) backup.kill('SIGKILL');
    await disk.fail();
    await ended;
    await disk.restore();
  };
}

/** Ceph's gateway, started by scripts/s3-server in `state`, is killed and started again: the backup goes on by itself. */
export function gatewayRestart(state: string, endpoint: string): End {
  const pidFile = path.join(state, 'rgw.pid');
  const configuration = path.join(state, 'ceph.conf');
  return async () => {
    const pid = Number(fs.readFileSync(pidFile, 'utf8'));
    if (!fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(configuration))
      throw new Error(`process ${pid} is not the gateway of ${state}`);
    process.kill(pid, 'SIGKILL');
    while (fs.existsSync(`/proc/${pid}`)) await pause(20);
    const gateway = spawn('radosgw', ['-n', 'client.admin', '-c', configuration, '-f'], {
      stdio: 'ignore',
      detached: true,
    });
    gateway.unref();
    fs.writeFileSync(pidFile, `${gateway.pid}\n`);
    const answers = (): Promise<boolean> =>
      fetch(endpoint).then(
        () => true,
        () => false,
      );
    while (!(await answers())) await pause(50);
  };
}
