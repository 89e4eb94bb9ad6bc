// Paths longer than the kernel takes in one call. A directory descriptor anchors the way: the rest of the path is named
// below /proc/self/fd/N, which every call accepts and which also means the same directory when somebody renames it.
// Without /proc (macOS) paths stay what they are and the kernel's limit holds.

import fs from 'node:fs';

/** Linux only: stands for what has a name, and opens nothing. */
export const O_PATH = 0o10000000;
const slash = 0x2f;
/** Well under PATH_MAX (4096), so that a name and the anchor's own path always fit behind it. */
const reach_bytes = 2000;

let available: boolean | undefined;

/** Whether directories can be anchored here. */
export function canAnchor(): boolean {
  available ??= process.platform === 'linux' && fs.existsSync('/proc/self/fd');
  return available;
}

/** A directory held open: what lies in it is reached through `path`, however long its own path is. */
export interface Anchor {
  /** '/proc/self/fd/N' */
  readonly path: Buffer;
  /** N */
  readonly descriptor: number;
  close(): void;
}

/**
 * Opens a directory as an anchor; a symlink in its last place is refused (ENOTDIR, ELOOP). Needs no permission to read it.
 * `path` itself must be short enough (go through a parent's anchor).
 */
export function openAnchor(path: Uint8Array): Anchor {
  const { O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(Buffer.from(path), O_PATH | O_DIRECTORY | O_NOFOLLOW);
  return { path: Buffer.from(`/proc/self/fd/${fd}`), descriptor: fd, close: () => fs.closeSync(fd) };
}

export function needsAnchor(path: Uint8Array): boolean {
  return path.length > reach_bytes && canAnchor();
}

/**
 * Runs `use` with a path that the kernel takes and that means the same entry as the given absolute path, however long that
 * is. The path handed over is valid only during the call. Below directories that are far down, symlinks are not followed.
 */
export function withReachable<T>(path: Uint8Array, use: (reachable: Buffer) => T): T {
  let rest = Buffer.from(path.buffer, path.byteOffset, path.byteLength);
  let anchor: Anchor | undefined;
  try {
    while (needsAnchor(rest)) {
      const cut = rest.lastIndexOf(slash, reach_bytes);
      // One name cannot be that long: let the kernel say so.
      if (cut <= 0) break;
      const next = openAnchor(below(anchor, rest.subarray(0, cut)));
      anchor?.close();
      anchor = next;
      rest = rest.subarray(cut + 1);
    }
    return use(below(anchor, rest));
  } finally {
    anchor?.close();
  }
}

function below(anchor: Anchor | undefined, rest: Buffer): Buffer {
  return anchor ? Buffer.concat([anchor.path, Buffer.of(slash), rest]) : rest;
}

/** Opens the file at an absolute path of any length; `flags` as for open(2). The caller closes the descriptor. */
export function openLong(path: Uint8Array, flags: number): number {
  return withReachable(path, (reachable) => fs.openSync(reachable, flags));
}
