// The first exchange of a mount: versions, what the kernel can do and what we want of it. Pure.

import {
  initFlags,
  leastMinorVersion,
  majorVersion,
  maximumRead_bytes,
  maximumWrite_bytes,
  minorVersion,
  page_bytes,
} from './constants.js';
import type { InitRequest } from './request.js';

// struct fuse_init_out
const out = {
  major: 0,
  minor: 4,
  max_readahead: 8,
  flags: 12,
  max_background: 16,
  congestion_threshold: 18,
  max_write: 20,
  time_gran: 24,
  max_pages: 28,
  bytes: 64,
} as const;

const maximumBackground = 64;

/**
 * Taken where the kernel offers them. AUTO_INVAL_DATA: a directory whose time moved is listed anew. Not taken: ASYNC_DIO, with
 * which a direct reader waits where no signal reaches it.
 */
const wanted =
  initFlags.ASYNC_READ |
  initFlags.AUTO_INVAL_DATA |
  initFlags.DO_READDIRPLUS |
  initFlags.NO_OPEN_SUPPORT |
  initFlags.PARALLEL_DIROPS |
  initFlags.ABORT_ERROR |
  initFlags.MAX_PAGES |
  initFlags.CACHE_SYMLINKS |
  initFlags.NO_OPENDIR_SUPPORT;

/**
 * 'again': a newer major version, the kernel will ask once more after our answer. undefined: too old for us. `checkAccess`
 * lets the kernel enforce modes and ACLs, for mounts that others may enter; one that cannot is too old for that.
 */
export function negotiate(request: InitRequest, checkAccess: boolean): Buffer | 'again' | undefined {
  if (request.major > majorVersion) return 'again';
  if (request.major < majorVersion || request.minor < leastMinorVersion) return undefined;
  if (checkAccess && (request.flags & initFlags.POSIX_ACL) === 0) return undefined;
  const flags = request.flags & (checkAccess ? wanted | initFlags.POSIX_ACL : wanted);
  const body = Buffer.alloc(out.bytes);
  body.writeUInt32LE(majorVersion, out.major);
  body.writeUInt32LE(Math.min(request.minor, minorVersion), out.minor);
  body.writeUInt32LE(request.maximumReadahead_bytes, out.max_readahead);
  body.writeUInt32LE(flags >>> 0, out.flags);
  body.writeUInt16LE(maximumBackground, out.max_background);
  body.writeUInt16LE((maximumBackground * 3) / 4, out.congestion_threshold);
  body.writeUInt32LE(maximumWrite_bytes, out.max_write);
  body.writeUInt32LE(1, out.time_gran);
  body.writeUInt16LE(maximumRead_bytes / page_bytes, out.max_pages);
  return body;
}

/** The answer to a newer major version: ours, so that the kernel comes back with it. */
export function ourVersion(): Buffer {
  const body = Buffer.alloc(out.bytes);
  body.writeUInt32LE(majorVersion, out.major);
  body.writeUInt32LE(minorVersion, out.minor);
  return body;
}
