import { createServer, type AddressInfo, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { RrbackupError } from '../../lib/errors/index.js';
import { answering, bytes, page, s3Error, storeAt, stored, type Handler } from './http-server.js';

const x = Buffer.from('x');
const note = (): void => undefined;

async function failure(t: Test, action: Promise<unknown>): Promise<RrbackupError> {
  const error = await action.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof RrbackupError)) {
    t.fail('no RrbackupError', { found: error });
    return new RrbackupError({ code: 'none', kind: 'failure', message: '' });
  }
  t.notMatch(JSON.stringify(error.toPlain()), 'the-secret', 'no secret in it');
  t.notMatch(error.message, /\.$/, 'no full stop');
  return error;
}

t.test('every answer of a server has its code, its sentence and a way out', async (t) => {
  const skewed = new Date(Date.parse('2001-01-01')).toUTCString();
  const cases: [string, Handler, string, RegExp][] = [
    [
      'no bucket',
      s3Error(404, 'NoSuchBucket'),
      'store.no_bucket',
      /the bucket bucket does not exist at http/,
    ],
    ['unknown key', s3Error(403, 'InvalidAccessKeyId'), 'store.wrong_keys', /does not know the access key/],
    ['wrong secret', s3Error(403, 'SignatureDoesNotMatch'), 'store.wrong_keys', /secret key does not fit/],
    ['expired', s3Error(400, 'ExpiredToken'), 'store.wrong_keys', /expired/],
    ['denied', s3Error(403, 'AccessDenied'), 'store.denied', /s3:GetBucketVersioning/],
    [
      'clock',
      s3Error(403, 'RequestTimeTooSkewed', { date: skewed }),
      'store.clock_skew',
      /\d{6,} minutes ahead/,
    ],
    [
      'other region',
      s3Error(301, 'PermanentRedirect', { 'x-amz-bucket-region': 'eu-west-9' }),
      'store.wrong_endpoint',
      /region eu-west-9/,
    ],
    ['quota', s3Error(403, 'QuotaExceeded'), 'store.full', /is full/],
    ['refused', s3Error(501, 'NotImplemented'), 'store.failed', /NotImplemented/],
    ['busy', s3Error(503, 'SlowDown'), 'store.transient', /too busy/],
    ['broken inside', s3Error(500, 'InternalError'), 'store.transient', /InternalError/],
    ['bad gateway', page(502, '<html>bad gateway</html>'), 'store.transient', /502/],
    [
      'a web page that is not there',
      page(404, '<html>not found</html>'),
      'store.wrong_endpoint',
      /not an S3 server/,
    ],
    ['a web page', page(200, '<html><body>hello</body></html>'), 'store.wrong_endpoint', /not an S3 server/],
    ['no XML', page(200, 'it works'), 'store.wrong_endpoint', /not an S3 server/],
    [
      'a redirect to a login',
      page(302, '', { location: 'http://127.0.0.1:1/' }),
      'store.wrong_endpoint',
      /not an S3 server/,
    ],
  ];
  for (const [name, handler, code, sentence] of cases) {
    const { endpoint } = await answering(t, handler);
    const error = await failure(t, storeAt(t, endpoint).prepare({ note }));
    t.equal(error.code, code, name);
    t.equal(error.kind, 'store', name);
    t.match(error.message, sentence, name);
    t.ok(error.guidance, name);
  }
});

t.test('no server at all', async (t) => {
  const refused = await failure(t, storeAt(t, 'http://127.0.0.1:1').prepare({ note }));
  t.match(refused, { code: 'store.no_network', message: /nothing listens at http:\/\/127.0.0.1:1/ });
  const unknown = await failure(t, storeAt(t, 'http://host.invalid').prepare({ note }));
  t.match(unknown, { message: /host.invalid/ });
  t.ok(['store.no_network', 'store.transient'].includes(unknown.code), unknown.code);
  for (const endpoint of ['s3.example.org', 'localhost:9000', 'ftp://x', '']) {
    t.throws(() => storeAt(t, endpoint), { code: 'store.wrong_endpoint', guidance: /in full/ });
  }
});

t.test('a server that was there a moment ago comes back: worth a retry', async (t) => {
  const server = await answering(t, stored, page(404, '<html>captive portal</html>'));
  const store = storeAt(t, server.endpoint);
  await store.put('key', x);
  t.equal((await failure(t, store.put('key', x))).code, 'store.transient');
});

t.test('TLS spoken to a server without, and something that is no HTTP', async (t) => {
  const { port } = await answering(t, stored);
  t.equal(
    (await failure(t, storeAt(t, `https://127.0.0.1:${port}`).prepare({ note }))).code,
    'store.wrong_endpoint',
  );
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.end('SSH-2.0-OpenSSH_9\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const other = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.equal((await failure(t, storeAt(t, other).prepare({ note }))).code, 'store.wrong_endpoint');
});

t.test('no secrets in the location', async (t) => {
  const store = storeAt(t, 'https://user:the-secret@s3.example.org/', { prefix: '/some/prefix/' });
  t.equal(store.location, 's3://bucket/some/prefix (https://s3.example.org)');
});

t.test('a 200 with an error or with nothing inside is no empty listing', async (t) => {
  const bodies: [string, string][] = [
    ['<?xml version="1.0"?><Error><Code>InternalError</Code></Error>', 'store.transient'],
    ['<?xml version="1.0"?><Something/>', 'store.wrong_endpoint'],
    ['', 'store.wrong_endpoint'],
  ];
  for (const [body, code] of bodies) {
    const { endpoint } = await answering(t, page(200, body));
    const store = storeAt(t, endpoint);
    t.equal((await failure(t, store.listPrefixes('streams/'))).code, code, body);
    t.equal((await failure(t, store.list('')[Symbol.asyncIterator]().next())).code, code, body);
  }
});

t.test('a listing that turns in circles ends', async (t) => {
  const circle =
    '<?xml version="1.0"?><ListVersionsResult><Name>bucket</Name><IsTruncated>true</IsTruncated>' +
    '<NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker></ListVersionsResult>';
  const { endpoint, requests } = await answering(t, page(200, circle));
  t.equal((await failure(t, storeAt(t, endpoint).listPrefixes(''))).code, 'store.transient');
  t.equal(requests.length, 2);
});

t.test('short bodies', async (t) => {
  const cut: Handler = (_request, response) => {
    response.writeHead(200, { 'content-length': '100', 'x-amz-request-id': 'tx1' });
    response.write('only this');
    setImmediate(() => response.destroy());
  };
  const { endpoint } = await answering(t, cut);
  const error = await failure(t, storeAt(t, endpoint).get('key'));
  t.match(error, { code: 'store.short_body', message: /9 bytes of key instead of 100/ });
});

t.test('more than any object has is not read', async (t) => {
  const { endpoint } = await answering(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '5000000000', 'x-amz-request-id': 'tx1' });
    response.write('x');
  });
  t.match(await failure(t, storeAt(t, endpoint).get('key')), { code: 'store.too_large', kind: 'damaged' });
});

t.test('an answer about another range is no answer', async (t) => {
  const range = { offset: 2, length: 3 };
  for (const handler of [
    bytes('whole object'),
    bytes('abc', { 'content-range': 'bytes 0-2/12' }),
    bytes('ab', { 'content-range': 'bytes 2-3/4' }),
  ]) {
    const { endpoint } = await answering(t, handler);
    t.equal((await failure(t, storeAt(t, endpoint).get('key', { range }))).code, 'store.short_body');
  }
});

t.test('a server that hangs: before the answer, in the body, and while it should read', async (t) => {
  const half: Handler = (_request, response) => {
    response.writeHead(200, { 'content-length': '100', 'x-amz-request-id': 'tx1' });
    response.write('half');
  };
  for (const handler of [half, () => undefined]) {
    const { endpoint } = await answering(t, handler);
    t.equal((await failure(t, storeAt(t, endpoint, {}, 150).get('key'))).code, 'store.transient');
  }
  const sockets: Socket[] = [];
  const deaf = createServer({ pauseOnConnect: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    deaf.close();
  });
  const endpoint = `http://127.0.0.1:${(deaf.address() as AddressInfo).port}`;
  const large = Buffer.alloc(32 << 20);
  t.equal((await failure(t, storeAt(t, endpoint, {}, 150).put('key', large))).code, 'store.transient');
});

/** Sends what no reader of the body gets to see, so that the socket is never idle: an extension of a chunk, letter by letter. */
const busy =
  (start: string): Handler =>
  (_request, response) => {
    response.writeHead(200, { 'x-amz-request-id': 'tx1', etag: '"e"' });
    let timer: NodeJS.Timeout | undefined;
    // Node gathers what it writes: only behind that may anything go to the socket itself.
    response.write(start, () => {
      const { socket } = response;
      socket?.write('1;');
      timer = setInterval(() => socket?.write('x'), 20);
    });
    response.on('close', () => clearInterval(timer));
  };

t.test('a server that sends bytes, but none of the body', async (t) => {
  const start = '<?xml version="1.0"?><ListVersionsResult><Name>bucket</Name>';
  const calls: Record<string, (store: ReturnType<typeof storeAt>) => Promise<unknown>> = {
    get: (store) => store.get('key'),
    'get of a range': (store) => store.get('key', { most_bytes: 100 }),
    list: (store) => store.list('')[Symbol.asyncIterator]().next(),
    listPrefixes: (store) => store.listPrefixes('streams/'),
    prepare: (store) => store.prepare({ note }),
    put: (store) => store.put('key', x),
  };
  for (const [name, call] of Object.entries(calls)) {
    const { endpoint } = await answering(t, busy(start));
    const error = await failure(t, call(storeAt(t, endpoint, {}, 150)));
    t.match(error, { code: 'store.transient', message: /sent nothing for 0.15 s/ }, name);
  }
});

t.test('an abort ends the wait for the rest of a listing', async (t) => {
  const stop = new AbortController();
  const { endpoint } = await answering(t, (request, response, body) => {
    busy('<?xml version="1.0"?>')(request, response, body);
    setImmediate(() => stop.abort());
  });
  const listing = storeAt(t, endpoint).listPrefixes('streams/', { signal: stop.signal });
  t.equal((await failure(t, listing)).code, 'interrupted');
});

t.test('a slow body is no idle one', async (t) => {
  const slow: Handler = (_request, response) => {
    response.writeHead(200, { 'content-length': '6', 'x-amz-request-id': 'tx1' });
    let sent = 0;
    const timer = setInterval(() => {
      sent++;
      response.write('x');
      if (sent === 6) {
        clearInterval(timer);
        response.end();
      }
    }, 100);
  };
  const { endpoint } = await answering(t, slow);
  t.equal((await storeAt(t, endpoint, {}, 400).get('key')).toString(), 'xxxxxx');
});

t.test('nor is a slow listing', async (t) => {
  const parts = [
    '<?xml version="1.0"?>',
    '<ListVersions',
    'Result><Name>',
    'bucket</Name>',
    '</ListVersionsResult>',
  ];
  const { endpoint } = await answering(t, (_request, response) => {
    response.writeHead(200, { 'x-amz-request-id': 'tx1' });
    const timer = setInterval(() => {
      const part = parts.shift();
      if (part !== undefined) return void response.write(part);
      clearInterval(timer);
      return void response.end();
    }, 100);
  });
  t.same(await storeAt(t, endpoint, {}, 400).listPrefixes('streams/'), []);
});

t.test('an abort in the middle of a body', async (t) => {
  const stop = new AbortController();
  const half: Handler = (_request, response) => {
    response.writeHead(200, { 'content-length': '100', 'x-amz-request-id': 'tx1' });
    response.write('half');
    setTimeout(() => stop.abort(), 50);
  };
  const { endpoint } = await answering(t, half);
  t.equal((await failure(t, storeAt(t, endpoint).get('key', { signal: stop.signal }))).code, 'interrupted');
});

t.test('a connection that breaks off', async (t) => {
  const { endpoint } = await answering(t, (request) => request.socket.destroy());
  const store = storeAt(t, endpoint);
  t.equal((await failure(t, store.get('key'))).code, 'store.transient');
  t.equal((await failure(t, store.put('key', x))).code, 'store.transient');
  t.equal((await failure(t, store.listPrefixes(''))).code, 'store.transient');
});

t.test('versioning that may not be turned on', async (t) => {
  const off = page(200, '<?xml version="1.0"?><VersioningConfiguration/>');
  const { endpoint } = await answering(t, off, s3Error(403, 'AccessDenied'));
  const error = await failure(t, storeAt(t, endpoint).prepare({ note }));
  t.match(error, { code: 'store.denied', message: /s3:PutBucketVersioning/ });
});
