// A disk of which one call fails: a FUSE file system of the test's own over an ordinary directory. For whatever reaches a disk
// by whatever way, threads and libraries included; needs root. Told what to do through a file in it, so that nothing here waits
// for anything but a system call.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { check, declare } from '../../lib/posix/libc.js';
import { scratchDirectory } from '../trees.js';

const mount = declare('int mount(void *source, void *target, void *type, unsigned long flags, void *data)');
const server = fileURLToPath(new URL('./failing-disk-server.js', import.meta.url));

/** Lies in the root of the disk and is in no listing. */
export const controlName = '.control';

export interface Fault {
  /** A name in the root: what lies elsewhere is left alone. */
  readonly below: string;
  /** Those that are counted. */
  readonly calls: 'all' | 'writing' | 'opening';
  /** From 1; 0: none fails. */
  readonly nth: number;
  readonly errno: number;
}

export interface FaultReport {
  /** Below, since the fault was told. */
  readonly calls: Readonly<Record<Fault['calls'], number>>;
  /** The one that failed, in words; empty: none has. */
  readonly failed: string;
}

export class FailingDisk {
  readonly path: string;
  readonly #control: string;

  private constructor(at: string) {
    this.path = at;
    this.#control = path.join(at, controlName);
  }

  static async make(t: Pick<Test, 'teardown'>): Promise<FailingDisk> {
    const scratch = scratchDirectory(t);
    const [backing, at] = [path.join(scratch, 'backing'), path.join(scratch, 'disk')];
    for (const directory of [backing, at]) fs.mkdirSync(directory);
    const device = fs.openSync('/dev/fuse', 'r+');
    const text = (words: string): Buffer => Buffer.from(`${words}\0`);
    const data = text(`fd=${device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions`);
    check(mount(text('failing'), text(at), text('fuse.failing'), 0, data), 'mount');
    const child: ChildProcess = spawn(process.execPath, [server, backing], {
      stdio: ['ignore', 'inherit', 'inherit', device],
    });
    fs.closeSync(device);
    const gone = once(child, 'exit');
    t.teardown(async () => {
      execFileSync('umount', ['-l', at]);
      child.kill('SIGKILL');
      await gone;
    });
    return new FailingDisk(at);
  }

  /** From now on; forgets what was told before. */
  tell(fault: Partial<Fault> = {}): void {
    fs.writeFileSync(this.#control, JSON.stringify({ below: '', calls: 'all', nth: 0, errno: 0, ...fault }));
  }

  ask(): FaultReport {
    return JSON.parse(fs.readFileSync(this.#control, 'utf8')) as FaultReport;
  }
}
