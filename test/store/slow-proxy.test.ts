// The slow proxy changes nothing but time: bytes and heads go through as they came, requests are counted by method, and it
// hangs and cuts when told. (What it costs in time is no test's business: see its use in scripts/bench.)

import { Agent, createServer, request, type IncomingHttpHeaders } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { RequestCounter } from '../slow-proxy/request-counter.js';
import { startSlowProxy, type SlowProxy } from '../slow-proxy.js';
import { answering, storeAt, stored } from './http-server.js';
import { runs } from '../runs.js';

interface Seen {
  readonly head: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Answers every request with the body that it brought, or with as many bytes as `/SIZE` says. */
async function echo(t: Test): Promise<{ target: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks);
      seen.push({ head: `${incoming.method} ${incoming.url}`, headers: incoming.headers, body });
      const size_bytes = Number(incoming.url?.slice(1));
      response.end(size_bytes > 0 ? pattern(size_bytes) : body);
    });
    incoming.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { target: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

function pattern(size_bytes: number): Buffer {
  const bytes = Buffer.alloc(size_bytes);
  for (let at = 0; at < size_bytes; at++) bytes[at] = (at * 31 + (at >> 8) * 7) & 0xff;
  return bytes;
}

async function proxied(t: Test, target: string, roundTrip_ms = 2): Promise<SlowProxy> {
  const proxy = await startSlowProxy({ target, roundTrip_ms, bandwidth_bytes_per_s: 500e6 });
  t.teardown(() => proxy.close());
  return proxy;
}

interface Asking {
  readonly method?: string;
  readonly path?: string;
  readonly body?: Buffer;
  readonly headers?: Record<string, string>;
  readonly agent?: Agent;
}

function ask(endpoint: string, { path = '/', body, ...options }: Asking = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const asking = request(endpoint + path, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks)));
      response.on('error', reject);
    });
    asking.on('error', reject);
    asking.end(body);
  });
}

t.test('bytes and heads go through as they came, both ways', async (t) => {
  const { target, seen } = await echo(t);
  const { endpoint } = await proxied(t, target);
  const agent = new Agent({ keepAlive: true, maxSockets: 3 });
  t.teardown(() => agent.destroy());
  const sizes = [0, 1, 65_535, 3_000_000];
  const answers = await Promise.all(
    sizes.map((size) =>
      ask(endpoint, {
        method: 'PUT',
        path: '/',
        body: pattern(size),
        headers: { host: 'bucket.example.org:9', 'x-signed': 'As It Came' },
        agent,
      }),
    ),
  );
  for (const [index, size] of sizes.entries()) t.ok(answers[index]?.equals(pattern(size)), `${size} bytes`);
  for (const { headers } of seen)
    t.match(headers, { host: 'bucket.example.org:9', 'x-signed': 'As It Came' }, 'the Host is the client’s');
});

t.test('an answer of many windows, to a client that is slow to take it', async (t) => {
  const { target } = await echo(t);
  const { endpoint } = await proxied(t, target);
  const size = 24 * 1024 * 1024;
  const got = await new Promise<Buffer>((resolve, reject) => {
    request(`${endpoint}/${size}`, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        response.pause();
        setImmediate(() => response.resume());
      });
      response.on('end', () => resolve(Buffer.concat(chunks)));
    })
      .on('error', reject)
      .end();
  });
  t.ok(got.equals(pattern(size)));
});

t.test('requests are counted by method, bytes both ways', async (t) => {
  const { target } = await echo(t);
  const proxy = await proxied(t, target);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  await ask(proxy.endpoint, { path: '/1000', agent });
  await ask(proxy.endpoint, { method: 'PUT', path: '/put', body: pattern(5000), agent });
  await ask(proxy.endpoint, {
    method: 'POST',
    path: '/chunked',
    body: pattern(5000),
    headers: { 'transfer-encoding': 'chunked' },
    agent,
  });
  await ask(proxy.endpoint, { path: '/2000', agent });
  const counts = proxy.counts();
  t.match(counts, { requests: 4, methods: { GET: 2, PUT: 1, POST: 1 }, connections: 1 });
  t.ok(counts.sent_bytes > 10_000 && counts.sent_bytes < 12_000, `sent ${counts.sent_bytes}`);
  t.ok(counts.received_bytes > 13_000 && counts.received_bytes < 15_000, `received ${counts.received_bytes}`);
  t.same(proxy.requests(), ['GET /1000', 'PUT /put', 'POST /chunked', 'GET /2000']);
});

t.test('the requests of a connection are the same, wherever its bytes are cut', async () => {
  const crlf = (...lines: string[]): string => lines.map((line) => `${line}\r\n`).join('');
  const requests = {
    plain: { text: crlf('GET /a HTTP/1.1', 'Host: h', ''), name: 'GET /a' },
    body: { text: crlf('PUT /b HTTP/1.1', 'content-LENGTH: 14', '') + 'GET / HTTP/1\r\n', name: 'PUT /b' },
    chunked: {
      text: crlf(
        'POST /c HTTP/1.1',
        'Transfer-Encoding: aws, chunked',
        '',
        'a;x=y',
        'GET /\r\nGET',
        '0',
        'T: 1',
        '',
      ),
      name: 'POST /c',
    },
    empty: { text: crlf('DELETE /d HTTP/1.1', 'Content-Length: 0', ''), name: 'DELETE /d' },
  };
  const kinds = Object.values(requests);
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...kinds), { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
      (sent, cuts) => {
        const names: string[] = [];
        const counter = new RequestCounter((name) => names.push(name));
        const bytes = Buffer.from(sent.map(({ text }) => text).join(''));
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const length = cuts[turn % cuts.length]!;
          counter.push(bytes.subarray(at, at + length));
          at += length;
        }
        return names.join() === sent.map(({ name }) => name).join();
      },
    ),
    runs(100),
  );
});

t.test('hang: nothing goes through, new connections neither; resume: all of it does', async (t) => {
  const { target, seen } = await echo(t);
  const proxy = await proxied(t, target);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  await ask(proxy.endpoint, { agent });
  proxy.hang();
  const before = proxy.counts();
  let answered = 0;
  const held = ['/100', '/200'].map((path) =>
    ask(proxy.endpoint, path === '/100' ? { path, agent } : { path }).then((body) => {
      answered++;
      return body;
    }),
  );
  while (proxy.counts().requests < before.requests + 2) await ask(target);
  // While those two wait, others go round many times.
  for (let times = 0; times < 100; times++) await ask(target);
  t.equal(answered, 0);
  t.equal(proxy.counts().sent_bytes, before.sent_bytes);
  t.notOk(
    seen.some(({ head }) => head !== 'GET /'),
    'the server saw none of them',
  );
  proxy.resume();
  t.same(
    (await Promise.all(held)).map((body) => body.length),
    [100, 200],
  );
});

t.test('cut: every open connection is reset; the next one works', async (t) => {
  const { target } = await echo(t);
  const proxy = await proxied(t, target);
  proxy.hang();
  const held = ask(proxy.endpoint, { path: '/100' });
  const cut = t.rejects(held, { code: 'ECONNRESET' });
  while (proxy.counts().requests === 0) await ask(target);
  proxy.cut();
  await cut;
  proxy.resume();
  t.equal((await ask(proxy.endpoint, { path: '/100' })).length, 100);
});

t.test('a client that closes its half after asking still gets the whole answer', async (t) => {
  const { target } = await echo(t);
  const { endpoint } = await proxied(t, target);
  const socket = connect(Number(new URL(endpoint).port), '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.end('GET /300000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
  await new Promise((resolve) => socket.on('close', resolve));
  const answer = Buffer.concat(chunks);
  t.ok(answer.subarray(answer.indexOf('\r\n\r\n') + 4).equals(pattern(300_000)));
});

t.test('a server that is not there: the client learns of it', async (t) => {
  const { target } = await echo(t);
  const gone = await startSlowProxy({ target, roundTrip_ms: 0, bandwidth_bytes_per_s: Infinity });
  await gone.close();
  const { endpoint } = await proxied(t, gone.endpoint);
  await t.rejects(ask(endpoint), { code: 'ECONNRESET' });
});

t.test('the S3 store through it', async (t) => {
  const server = await answering(t, stored);
  const proxy = await proxied(t, server.endpoint);
  const store = storeAt(t, proxy.endpoint);
  await store.put('packs/x', Buffer.from('body'));
  t.equal(server.headers[0]?.host, new URL(proxy.endpoint).host);
  t.same(server.requests, proxy.requests());
  t.equal(proxy.counts().methods['PUT'], 1);
});
