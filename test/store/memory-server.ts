// What an S3 server does, as far as rrbackup asks for it, on a store in memory: so that a test can come between the two.

import { RrbackupError } from '../../lib/errors/index.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import { page, s3Error, type Handler } from './http-server.js';

const id = { 'x-amz-request-id': 'tx1' };

const xml = (name: string, body: string): Handler =>
  page(200, `<?xml version="1.0"?><${name}>${body}</${name}>`, { 'content-type': 'application/xml', ...id });

/** Of one bucket, keys without a prefix. */
export function serving(store: MemoryStore): Handler {
  return (request, response, body) => {
    void answer(store, request, body).then((handler) => handler(request, response, body));
  };
}

async function answer(store: MemoryStore, request: Parameters<Handler>[0], body: Buffer): Promise<Handler> {
  const url = new URL(request.url!, 'http://localhost');
  const key = decodeURIComponent(url.pathname).split('/').slice(2).join('/');
  const query = url.searchParams;
  const versionId = query.get('versionId') ?? '';
  if (key === '' && query.has('versioning'))
    return xml('VersioningConfiguration', '<Status>Enabled</Status>');
  if (key === '') return xml('ListVersionsResult', await listing(store, query));
  try {
    switch (request.method) {
      case 'PUT': {
        const isNew = request.headers['if-none-match'] === '*';
        const stored = await (isNew ? store.create(key, body) : store.put(key, body));
        return page(200, '', { ...id, 'x-amz-version-id': stored.versionId, etag: '"e"' });
      }
      case 'DELETE':
        await store.remove(key, versionId);
        return page(204, '', id);
      default: {
        const bytes = await store.get(key, { versionId });
        const newest = await store.stat(key, { versionId });
        return object(bytes, newest!.versionId, request.headers.range);
      }
    }
  } catch (error) {
    const code = error instanceof RrbackupError ? error.code : String(error);
    if (code === 'store.missing') return s3Error(404, 'NoSuchKey');
    return code === 'store.exists' ? s3Error(412, 'PreconditionFailed') : s3Error(500, 'InternalError');
  }
}

function object(bytes: Buffer, versionId: string, range: string | undefined): Handler {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  const part = from === undefined ? bytes : bytes.subarray(Number(from), Number(to) + 1);
  return (request, response) => {
    response.writeHead(from === undefined ? 200 : 206, {
      ...id,
      'x-amz-version-id': versionId,
      'content-length': `${part.length}`,
      ...(from !== undefined && { 'content-range': `bytes ${from}-${to}/${bytes.length}` }),
    });
    response.end(request.method === 'HEAD' ? undefined : part);
  };
}

async function listing(store: MemoryStore, query: URLSearchParams): Promise<string> {
  const prefix = query.get('prefix') ?? '';
  const parts = ['<Name>bucket</Name><IsTruncated>false</IsTruncated>'];
  if (query.get('delimiter') === '/') {
    for (const name of await store.listPrefixes(prefix))
      parts.push(`<CommonPrefixes><Prefix>${prefix}${name}/</Prefix></CommonPrefixes>`);
    return parts.join('');
  }
  for await (const object of store.list(prefix, { after: query.get('key-marker') ?? '' })) {
    const modified = new Date(object.modified_ms).toISOString();
    parts.push(
      `<Version><Key>${object.key}</Key><VersionId>${object.versionId}</VersionId>` +
        `<Size>${object.size_bytes}</Size><LastModified>${modified}</LastModified></Version>`,
    );
  }
  return parts.join('');
}
