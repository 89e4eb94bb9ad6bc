// The worker's side of a pool: answers requests in order, one at a time. A worker script does its setting up with
// top-level await and then calls serve; requests that come before wait.

import { parentPort } from 'node:worker_threads';
import type { Transferable } from 'node:worker_threads';

import { toRrbackupError } from '../errors/index.js';
import type { FromWorker, ToWorker } from './messages.js';

export interface Served<Response> {
  readonly response: Response;
  /** Array buffers and ports that move instead of being copied: gone here afterwards. */
  readonly transfer?: readonly Transferable[];
}

/**
 * Answers every request with the handler's response, or with the error it throws, which reaches the caller as an
 * RrbackupError. The worker ends when the pool closes.
 */
export function serve<Request, Response>(
  handler: (request: Request) => Served<Response> | Promise<Served<Response>>,
): void {
  const port = parentPort;
  if (port === null) throw new Error('serve() runs in a worker thread');

  const answer = async (id: number, request: Request): Promise<void> => {
    try {
      const { response, transfer } = await handler(request);
      port.postMessage({ id, response } satisfies FromWorker<Response>, transfer ?? []);
    } catch (error) {
      port.postMessage({ id, error: toRrbackupError(error).toPlain() } satisfies FromWorker<Response>);
    }
  };

  port.postMessage({ isUp: true } satisfies FromWorker<Response>);
  let last: Promise<void> = Promise.resolve();
  port.on('message', (message: ToWorker<Request>) => {
    // The exit event lets native libraries free what they hold for this thread; terminate() would not.
    if ('close' in message) process.exit(0);
    last = last.then(() => answer(message.id, message.request));
  });
}
