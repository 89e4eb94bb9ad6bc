// Who uses a mount: processes that have a directory or a file of it open, work in it or run from it, as far as /proc shows them
// to this user. Reads links and never follows them: a mount may not answer.

import fs from 'node:fs';

export interface MountUser {
  readonly pid: number;
  /** As the kernel has it, cut to 15 bytes. */
  readonly name: string;
}

/** `mountpoint` as the kernel names it. What only has a file of it mapped is not seen. */
export function mountUsers(mountpoint: string): MountUser[] {
  const isInside = (link: string): boolean => {
    const target = readIfThere(() => fs.readlinkSync(link)) ?? '';
    return target === mountpoint || target.startsWith(`${mountpoint}/`);
  };
  return fs.readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    const open = readIfThere(() => fs.readdirSync(`/proc/${pid}/fd`)) ?? [];
    const links = ['cwd', 'root', 'exe', ...open.map((fd) => `fd/${fd}`)];
    if (!links.some((link) => isInside(`/proc/${pid}/${link}`))) return [];
    const name = readIfThere(() => fs.readFileSync(`/proc/${pid}/comm`, 'utf8')) ?? '';
    return [{ pid: Number(pid), name: name.trimEnd() }];
  });
}

/** Undefined for what has ended meanwhile and what this user may not see. */
function readIfThere<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
