// What of a server's answer the SDK gets to see. The bytes of an object it hands on as they come (body.ts counts them); everything
// else it would collect and parse as XML, however long it is: that is read here, up to a bound.

import { Readable } from 'node:stream';
import { RrbackupError } from '../../errors/index.js';
import { NodeHttpHandler } from './sdk.js';

/**
 * More than a page of a listing has: a thousand versions, whose names are of 1 KiB at the most. Parsing can take a hundred times
 * as much memory.
 */
const most_bytes = 1.5 * 1024 * 1024;

type Handle = InstanceType<typeof NodeHttpHandler>['handle'];

export class BoundedHandler extends NodeHttpHandler {
  override async handle(...[request, options]: Parameters<Handle>): ReturnType<Handle> {
    const { response } = await super.handle(request, options);
    const isObject = request.query['x-id'] === 'GetObject' && response.statusCode < 300;
    if (!isObject) {
      const body = await readDocument(response.body as Readable, request.hostname);
      // No S3 server has a document type in its answers, but every web page, and looking for the end of many takes the parser hours.
      response.body = Readable.from(/<!doctype/i.test(body.toString('latin1')) ? [] : [body]);
    }
    return { response };
  }
}

async function readDocument(stream: Readable, server: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let got_bytes = 0;
  // Whoever leaves the loop early ends the connection.
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    got_bytes += chunk.length;
    if (got_bytes > most_bytes)
      throw new RrbackupError({
        code: 'store.failed',
        kind: 'store',
        message: `${server} does not end its answer, which no S3 server makes longer than ${most_bytes} bytes`,
        guidance: 'check the endpoint in the configuration',
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, got_bytes);
}
