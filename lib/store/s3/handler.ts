// What of a server's answer the SDK gets to see. The bytes of an object it hands on as they come (body.ts counts them); everything
// else it would collect and parse as XML, however long it is: that is read here, up to a bound.

import { Readable } from 'node:stream';
import { RrbackupError } from '../../errors/index.js';
import { transient } from '../failures.js';
import { collect } from './body.js';
import { NodeHttpHandler } from './sdk.js';

/**
 * More than a page of a listing has: a thousand versions, whose names are of 1 KiB at the most. Parsing can take a hundred times
 * as much memory.
 */
const most_bytes = 1.5 * 1024 * 1024;

type Handle = InstanceType<typeof NodeHttpHandler>['handle'];

type Options = NonNullable<ConstructorParameters<typeof NodeHttpHandler>[0]>;

export class BoundedHandler extends NodeHttpHandler {
  readonly #idle_ms: number;

  /** `idle_ms`: so long a server may send nothing. */
  constructor(options: Extract<Options, { httpAgent?: unknown }>, idle_ms: number) {
    super({ ...options, socketTimeout: idle_ms });
    this.#idle_ms = idle_ms;
  }

  override async handle(...[request, options]: Parameters<Handle>): ReturnType<Handle> {
    const { response } = await super.handle(request, options);
    const isObject = request.query['x-id'] === 'GetObject' && response.statusCode < 300;
    if (!isObject) {
      const body = await this.#document(response.body as Readable, request.hostname);
      // No S3 server has a document type in its answers, but every web page, and looking for the end of many takes the parser hours.
      response.body = Readable.from(/<!doctype/i.test(body.toString('latin1')) ? [] : [body]);
    }
    return { response };
  }

  async #document(stream: Readable, server: string): Promise<Buffer> {
    // An abort is the SDK's to see to: it ends the connection.
    const reading = { most_bytes, idle_ms: this.#idle_ms, signal: undefined };
    const { chunks, got_bytes, isIdle, broke } = await collect(stream, reading);
    if (isIdle)
      throw transient(
        `${server} stopped in the middle of an answer and sent nothing for ${this.#idle_ms / 1000} s`,
      );
    if (broke !== undefined) throw broke;
    if (got_bytes > most_bytes)
      throw new RrbackupError({
        code: 'store.failed',
        kind: 'store',
        message: `${server} does not end its answer, which no S3 server makes longer than ${most_bytes} bytes`,
        guidance: 'check the endpoint in the configuration',
      });
    return Buffer.concat(chunks, got_bytes);
  }
}
