import t from 'tap';
import { openStore } from '../../lib/store/open.js';
import type { RetryNote } from '../../lib/store/retry.js';
import { answering, bytes, page, s3Error, storeAt, stored, type Handler } from './http-server.js';

const x = Buffer.from('x');
const hangUp: Handler = (request) => request.socket.destroy();
const taken = s3Error(412, 'PreconditionFailed');

t.test('create: after 412, 409 and lost answers what is there decides', async (t) => {
  const outcomes: [string, Handler[], string][] = [
    ['fresh', [stored], 'v1'],
    ['412, ours', [taken, bytes('x')], 'v1'],
    ['412, of others', [taken, bytes('y')], 'store.exists'],
    ['412, gone again', [taken, s3Error(404, 'NoSuchKey')], 'store.transient'],
    ['409, ours', [s3Error(409, 'ConditionalRequestConflict'), bytes('x')], 'v1'],
    [
      '409, nobody yet',
      [s3Error(409, 'ConditionalRequestConflict'), s3Error(404, 'NoSuchKey')],
      'store.transient',
    ],
    ['lost answer, ours', [hangUp, bytes('x')], 'v1'],
    ['lost answer, of others', [hangUp, bytes('y')], 'store.exists'],
    ['lost request', [hangUp, s3Error(404, 'NoSuchKey')], 'store.transient'],
    ['503, ours', [s3Error(503, 'SlowDown'), bytes('x')], 'v1'],
    ['200 without confirmation, ours', [page(200, ''), bytes('x')], 'v1'],
    ['denied', [s3Error(403, 'AccessDenied')], 'store.denied'],
  ];
  for (const [name, handlers, outcome] of outcomes) {
    const { endpoint, headers } = await answering(t, ...handlers);
    const got = await storeAt(t, endpoint)
      .create('key', x)
      .then(
        ({ versionId }) => versionId,
        (error: unknown) => (error as { code: string }).code,
      );
    t.equal(got, outcome, name);
    t.equal(headers[0]?.['if-none-match'], '*', name);
  }
});

t.test('a server that refuses the condition is not one to rely on', async (t) => {
  const empty = '<?xml version="1.0"?><ListVersionsResult><Name>bucket</Name></ListVersionsResult>';
  const { endpoint } = await answering(t, s3Error(501, 'NotImplemented'), page(200, empty));
  t.equal(await storeAt(t, endpoint).probeConditionalCreate(), false);
});

t.test('requests: path style, signed body, no surprises in the headers, keep-alive', async (t) => {
  const server = await answering(t, stored);
  const store = storeAt(t, server.endpoint, { prefix: 'p', storageClass: 'STANDARD_IA' });
  await store.put('packs/ab/c', x);
  await store.put('streams/x', x);
  t.same(server.requests, [
    'PUT /bucket/p/packs/ab/c?x-id=PutObject',
    'PUT /bucket/p/streams/x?x-id=PutObject',
  ]);
  const [pack, commit] = server.headers;
  t.match(pack, {
    'x-amz-content-sha256': '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881',
    'x-amz-storage-class': 'STANDARD_IA',
    'content-length': '1',
    connection: 'keep-alive',
  });
  t.equal(commit?.['x-amz-storage-class'], undefined, 'only packs go into another storage class');
  for (const name of Object.keys(pack ?? {})) t.notMatch(name, /^x-amz-(sdk-)?checksum/);
  t.equal(pack?.['expect'], undefined);
});

t.test('what the environment says about AWS changes nothing about where and how', async (t) => {
  const server = await answering(t, stored);
  const before = { ...process.env };
  t.teardown(() => (process.env = before));
  Object.assign(process.env, {
    AWS_CA_BUNDLE: '/nonexistent/ca.pem',
    AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
    AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1',
    AWS_REGION: 'eu-nowhere-1',
    AWS_DEFAULT_REGION: 'eu-nowhere-1',
    AWS_ACCESS_KEY_ID: 'ENVIRONMENT',
    AWS_SECRET_ACCESS_KEY: 'ENVIRONMENT',
    AWS_SESSION_TOKEN: 'ENVIRONMENT',
    AWS_REQUEST_CHECKSUM_CALCULATION: 'WHEN_SUPPORTED',
    AWS_MAX_ATTEMPTS: '9',
    AWS_CONFIG_FILE: '/nonexistent/config',
  });
  await storeAt(t, server.endpoint).put('key', x);
  t.match(server.headers[0]?.authorization, /Credential=AKIDTEST\/\d+\/us-east-1\/s3/);
  t.equal(server.headers[0]?.['x-amz-security-token'], undefined);

  const store = storeAt(t, server.endpoint, { accessKey: undefined, secretKey: undefined } as object);
  await store.put('key', x);
  t.match(
    server.headers[1]?.authorization,
    /Credential=ENVIRONMENT\//,
    'without keys the usual chain gives them',
  );
});

t.test('openStore: 503, then a short body, then fine; every retry is told', async (t) => {
  const cut: Handler = (_request, response) => {
    response.writeHead(200, { 'content-length': '5', 'x-amz-request-id': 'tx1' });
    response.write('he');
    setImmediate(() => response.destroy());
  };
  const server = await answering(t, s3Error(503, 'SlowDown'), cut, bytes('hello'));
  const notes: RetryNote[] = [];
  const store = await openStore(
    {
      kind: 's3',
      bucket: 'bucket',
      prefix: '',
      endpoint: server.endpoint,
      accessKey: 'AKIDTEST',
      secretKey: 'the-secret',
    },
    { onRetry: (note) => notes.push(note) },
  );
  t.equal((await store.get('key')).toString(), 'hello');
  t.same(
    notes.map((note) => note.error.code),
    ['store.transient', 'store.short_body'],
  );
  t.match(store.location, /^s3:\/\/bucket \(http/);
  await store.close();
});

t.test('openStore: a pack that is too short is damage after three answers', async (t) => {
  const range = { offset: 100, length: 50 };
  const s3 = {
    kind: 's3',
    bucket: 'bucket',
    prefix: '',
    accessKey: 'AKIDTEST',
    secretKey: 'the-secret',
  } as const;
  const answers: Record<string, Handler> = {
    'the range lies behind its end': s3Error(416, 'InvalidRange'),
    'a part of the range': bytes('ab', { 'content-range': 'bytes 100-101/102' }),
    'the body ends early': (_request, response) => {
      response.writeHead(206, {
        'content-length': '50',
        'content-range': 'bytes 100-149/1000',
        'x-amz-request-id': 'tx1',
      });
      response.write('a part');
      setImmediate(() => response.destroy());
    },
  };
  for (const [what, answer] of Object.entries(answers)) {
    const { endpoint, requests } = await answering(t, answer);
    const store = await openStore({ ...s3, endpoint });
    await t.rejects(
      store.get('packs/ab/pack', { range }),
      { code: 'store.truncated', kind: 'damaged', message: /packs\/ab\/pack/ },
      what,
    );
    t.equal(requests.length, 3, what);
    await store.close();
  }
});

t.test('openStore: an answer that breaks off before its first byte is no damage', async (t) => {
  const nothing: Handler = (_request, response) => {
    response.writeHead(200, { 'content-length': '5', 'x-amz-request-id': 'tx1' });
    response.flushHeaders();
    setImmediate(() => response.destroy());
  };
  const { endpoint } = await answering(t, nothing);
  await t.rejects(storeAt(t, endpoint).get('key'), { code: 'store.transient' });
});

t.test('openStore: a directory', async (t) => {
  const path = t.testdir();
  const onRetry = (note: RetryNote): void => void t.fail(note.error.message);
  const store = await openStore({ kind: 'directory', path }, { onRetry });
  await store.prepare({ note: (message) => t.fail(message) });
  await store.put('key', x);
  t.equal((await store.get('key')).toString(), 'x');
  t.equal(store.location, `directory ${path}`);
  const range = { offset: 0, length: 2 };
  await t.rejects(store.get('key', { range }), { code: 'store.truncated', kind: 'damaged' }, 'at once');
  await store.close();
});
