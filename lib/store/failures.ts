// The errors that every store has in common, in words; those of one kind of store live with it.

import { damaged, type ErrorOptions, interrupted, RrbackupError } from '../errors/index.js';
import { type ByteRange, type GetOptions, largestObject_bytes, mostListed } from './types.js';

/** No such object or version: 'store.missing'. */
export function missing(location: string, key: string, versionId = ''): RrbackupError {
  return new RrbackupError({
    code: 'store.missing',
    kind: 'not_found',
    message: `${key}${versionId === '' ? '' : ` in version ${versionId}`} is not in ${location}`,
    guidance: 'run "rrbackup check" to see what is affected',
  });
}

/** `create` found other bytes at the key: 'store.exists'. */
export function exists(location: string, key: string): RrbackupError {
  return new RrbackupError({
    code: 'store.exists',
    kind: 'failure',
    message: `${key} is already in ${location}`,
  });
}

/**
 * May be the line, or may be how the store is: when it has come again in the same `way` for so often that it is no chance, RetryStore
 * throws `settled` instead.
 */
export class DoubtfulError extends RrbackupError {
  readonly way: string;
  readonly settled: RrbackupError;

  constructor(options: ErrorOptions & { readonly way: string; readonly settled: RrbackupError }) {
    super(options);
    this.way = options.way;
    this.settled = options.settled;
  }
}

/** Fewer or more bytes than promised: 'store.short_body'; in the end 'store.truncated': the object itself is too short. */
export function shortBody(
  location: string,
  key: string,
  expected_bytes: number,
  got_bytes: number,
): DoubtfulError {
  return new DoubtfulError({
    code: 'store.short_body',
    kind: 'store',
    message: `${location} answered ${got_bytes} bytes of ${key} instead of ${expected_bytes}`,
    guidance: 'run the command again; if it stays so, run "rrbackup check"',
    way: `${got_bytes} of ${expected_bytes}`,
    settled: new RrbackupError({
      code: 'store.truncated',
      kind: 'damaged',
      message: `${key} in ${location} is damaged: it has ${got_bytes} bytes where ${expected_bytes} belong`,
      guidance: 'run "rrbackup check --read-data" to see what else is, and which files that hurts',
    }),
  });
}

/** A listing that does not say where it goes on, or goes back: 'store.transient', in the end 'store.failed'. */
export function stuckListing(server: string, prefix: string): DoubtfulError {
  const message = `${server} does not say where its listing of ${prefix === '' ? 'everything' : prefix} goes on`;
  const guidance =
    'this server does not list as S3 servers do: update it, or keep the repository on another one';
  return new DoubtfulError({
    code: 'store.transient',
    kind: 'store',
    message,
    guidance,
    way: 'stuck',
    settled: new RrbackupError({ code: 'store.failed', kind: 'store', message, guidance }),
  });
}

/** How much of an object may be read at all; undefined: as much as the range says. */
export function mostOf({ range, most_bytes }: GetOptions): number | undefined {
  return most_bytes ?? (range === undefined ? largestObject_bytes : undefined);
}

/** Throws 'store.too_large' for an object of more than `most_bytes`. */
export function checkSize(
  location: string,
  key: string,
  size_bytes: number,
  most_bytes: number | undefined,
): void {
  if (most_bytes !== undefined && size_bytes > most_bytes)
    throw damaged(
      'store.too_large',
      `${key} in ${location} has more than ${most_bytes} bytes: rrbackup did not write it`,
    );
}

/** A listing without an end, or with more in it than can be kept: 'store.too_many'. */
export function tooManyListed(location: string, prefix: string, most = mostListed): RrbackupError {
  return new RrbackupError({
    code: 'store.too_many',
    kind: 'store',
    message: `${location} lists more than ${most} objects${prefix === '' ? '' : ` below ${prefix}`}, or does not end its listing`,
    guidance:
      'look with another tool at what is stored there; remove what does not belong to the repository, or report this if all of it does',
  });
}

/** A timeout, a reset, an overloaded server: 'store.transient', worth a retry. */
export function transient(message: string, cause?: unknown): RrbackupError {
  return new RrbackupError({
    code: 'store.transient',
    kind: 'store',
    message,
    guidance: 'run the command again; what was already uploaded is used',
    cause,
  });
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw interrupted();
}

/** Throws 'store.short_body' unless the range lies within an object of `size_bytes`. */
export function checkRange(location: string, key: string, range: ByteRange, size_bytes: number): void {
  if (range.offset + range.length > size_bytes) {
    throw shortBody(location, key, range.length, Math.max(0, size_bytes - range.offset));
  }
}
