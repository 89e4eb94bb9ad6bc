// A small server on loopback that answers requests as a test tells it to, to show an S3 client what the world can do to it.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import { S3Store } from '../../lib/store/s3/index.js';
import type { StoreConfiguration } from '../../lib/store/types.js';

export type Handler = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

export interface Answering {
  readonly endpoint: string;
  readonly port: number;
  /** 'GET /bucket/key?…' of every request so far. */
  readonly requests: string[];
  readonly headers: IncomingMessage['headers'][];
  /** Handlers for the next requests, one each; the last one stays. */
  readonly handlers: Handler[];
}

export async function answering(t: Test, ...handlers: Handler[]): Promise<Answering> {
  const requests: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    requests.push(`${request.method} ${request.url}`);
    headers.push(request.headers);
    const handler = handlers.length > 1 ? handlers.shift() : handlers[0];
    request.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => handler?.(request, response, Buffer.concat(chunks)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { endpoint: `http://127.0.0.1:${port}`, port, requests, headers, handlers };
}

export function storeAt(
  t: Test,
  endpoint: string,
  more: Partial<Extract<StoreConfiguration, { kind: 's3' }>> = {},
  idle_ms = 5000,
): S3Store {
  const store = new S3Store(
    {
      kind: 's3',
      bucket: 'bucket',
      prefix: '',
      endpoint,
      accessKey: 'AKIDTEST',
      secretKey: 'the-secret',
      ...more,
    },
    { timeouts: { idle_ms, connect_ms: 2000 } },
  );
  t.teardown(() => store.close());
  return store;
}

/** An S3 error document. */
export function s3Error(status: number, code: string, headers: Record<string, string> = {}): Handler {
  return (request, response) => {
    const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>text</Message></Error>`;
    response.writeHead(status, { 'content-type': 'application/xml', 'x-amz-request-id': 'tx1', ...headers });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
}

export function page(status: number, body: string, headers: Record<string, string> = {}): Handler {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'text/html', ...headers });
    response.end(body);
  };
}

export const stored: Handler = (_request, response) => {
  response.writeHead(200, { etag: '"e"', 'x-amz-version-id': 'v1', 'x-amz-request-id': 'tx1' });
  response.end();
};

export function bytes(body: string, headers: Record<string, string> = {}): Handler {
  return (_request, response) => {
    response.writeHead(200, {
      'x-amz-version-id': 'v1',
      'x-amz-request-id': 'tx1',
      'content-length': `${body.length}`,
      ...headers,
    });
    response.end(body);
  };
}
