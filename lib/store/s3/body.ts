// Reads the body of an answer: counted against what was promised, and never waiting longer than the idle timeout for a byte.

import type { Readable } from 'node:stream';
import { interrupted } from '../../errors/index.js';
import { checkSize, shortBody, transient } from '../failures.js';

interface Reading {
  /** More is not read. */
  readonly most_bytes: number;
  readonly idle_ms: number;
  readonly signal: AbortSignal | undefined;
}

export interface BodyOptions extends Omit<Reading, 'most_bytes'> {
  readonly location: string;
  readonly key: string;
  /** Content-Length; undefined where the server sends chunks without saying how many. */
  readonly expected_bytes: number | undefined;
  readonly most_bytes: number | undefined;
}

/** What came before the stream ended, broke off, was more than the most, or was dropped. */
export interface Collected {
  readonly chunks: Buffer[];
  readonly got_bytes: number;
  /** Nothing came for too long. The socket's own watch does not see that while the server sends anything else than body. */
  readonly isIdle: boolean;
  readonly broke: unknown;
}

/** Never rejects; the connection is dropped unless the stream ended. */
export async function collect(
  stream: Readable,
  { most_bytes, idle_ms, signal }: Reading,
): Promise<Collected> {
  const chunks: Buffer[] = [];
  let got_bytes = 0;
  let isIdle = false;
  const stop = (): void => void stream.destroy();
  const timer = setTimeout(() => {
    isIdle = true;
    stop();
  }, idle_ms);
  signal?.addEventListener('abort', stop, { once: true });
  let broke: unknown;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      timer.refresh();
      chunks.push(chunk);
      got_bytes += chunk.length;
      if (got_bytes > most_bytes) break;
    }
  } catch (error) {
    broke = error;
    // The SDK's own watch on the socket may bark first.
    isIdle ||= error instanceof Error && error.name === 'TimeoutError';
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
  return { chunks, got_bytes, isIdle, broke };
}

/** Throws 'store.short_body', 'store.transient' (idle) or 'interrupted'; the connection is dropped then. */
export async function readBody(stream: Readable, options: BodyOptions): Promise<Buffer> {
  const { location, key, expected_bytes, most_bytes, idle_ms, signal } = options;
  const reading = { most_bytes: expected_bytes ?? most_bytes ?? Infinity, idle_ms, signal };
  const { chunks, got_bytes, isIdle, broke } = await collect(stream, reading);
  if (signal?.aborted === true) throw interrupted();
  if (isIdle)
    throw transient(`${location} stopped in the middle of ${key} and sent nothing for ${idle_ms / 1000} s`);
  checkSize(location, key, got_bytes, most_bytes);
  // A connection that broke before the first byte says nothing of how long the object is.
  const isTold = broke === undefined || got_bytes > 0;
  if (expected_bytes !== undefined && got_bytes !== expected_bytes && isTold) {
    throw shortBody(location, key, expected_bytes, got_bytes);
  }
  if (broke !== undefined)
    throw transient(`the connection to ${location} broke off in the middle of ${key}`, broke);
  return Buffer.concat(chunks, got_bytes);
}
