// Listings that an S3 server does not end, or that stand still or go back: each is an error in words, at once or at a bound.

import t, { type Test } from 'tap';
import type { RrbackupError } from '../../lib/errors/index.js';
import { HeldDirectories } from '../../lib/store/directory/held.js';
import { Lister } from '../../lib/store/directory/walk.js';
import { RetryStore } from '../../lib/store/retry.js';
import { S3Store } from '../../lib/store/s3/index.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { answering, page, storeAt, type Handler } from './http-server.js';

interface Page {
  readonly keys?: readonly string[];
  readonly hidden?: readonly string[];
  readonly prefixes?: readonly string[];
  /** Of the next page; without one it is the last. */
  readonly marker?: readonly [key: string, version?: string];
}

function answer({ keys = [], hidden = [], prefixes = [], marker }: Page): Handler {
  const [key, version] = marker ?? [];
  const versions = keys.map(
    (name, index) => `<Version><Key>${name}</Key><VersionId>${index}</VersionId></Version>`,
  );
  const markers = hidden.map((name) => `<DeleteMarker><Key>${name}</Key></DeleteMarker>`);
  const commons = prefixes.map((name) => `<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`);
  return page(
    200,
    '<?xml version="1.0"?><ListVersionsResult><Name>bucket</Name>' +
      `<IsTruncated>${marker !== undefined}</IsTruncated>${[...versions, ...markers, ...commons].join('')}` +
      (key === undefined ? '' : `<NextKeyMarker>${key}</NextKeyMarker>`) +
      (version === undefined ? '' : `<NextVersionIdMarker>${version}</NextVersionIdMarker>`) +
      '</ListVersionsResult>',
    { 'x-amz-request-id': 'tx1' },
  );
}

/** For ever: `of` tells each page by its number. */
const endless =
  (of: (number: number) => Page): Handler =>
  (...args) => {
    answer(of(count++))(...args);
  };
let count = 0;

const number = (value: number): string => value.toString().padStart(9, '0');

async function all(store: Pick<ObjectStore, 'list'>, prefix = ''): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

async function failure(action: Promise<unknown>): Promise<Pick<RrbackupError, 'code' | 'kind' | 'message'>> {
  return action.then(
    (result) => ({ code: `it succeeded: ${String(result)}`, kind: 'failure', message: '' }),
    (error: unknown) => error as RrbackupError,
  );
}

function bounded(t: Test, endpoint: string): S3Store {
  const keys = { accessKey: 'AKIDTEST', secretKey: 'the-secret' };
  const store = new S3Store(
    { kind: 's3', bucket: 'bucket', prefix: '', endpoint, ...keys },
    { mostListed: 300 },
  );
  t.teardown(() => store.close());
  return store;
}

t.test('pages without an end', async (t) => {
  const pages: Record<string, (at: number) => Page> = {
    'of ever later keys': (at) => ({
      keys: [number(at * 2), number(at * 2 + 1)],
      marker: [number(at * 2 + 1)],
    }),
    'of hidden objects': (at) => ({ hidden: [number(at)], marker: [number(at)] }),
    'of versions of one key': (at) => ({ keys: ['one'], marker: ['one', number(at)] }),
    'with nothing in them': (at) => ({ marker: [number(at)] }),
    'with nothing in them, back and forth': (at) => ({ marker: [number(at % 2)] }),
  };
  for (const [what, of] of Object.entries(pages)) {
    const { endpoint, requests } = await answering(t, endless(of));
    const error = await failure(all(bounded(t, endpoint)));
    t.match(
      error,
      { code: 'store.too_many', kind: 'store', exitStatus: 15, message: /does not end its listing/ },
      what,
    );
    t.ok(requests.length <= 301, `${what}: ${requests.length}`);
  }
});

t.test('names without an end', async (t) => {
  const names = (at: number): string[] =>
    Array.from({ length: 5_000 }, (_, index) => `s/${number(at * 5_000 + index)}/`);
  const { endpoint } = await answering(
    t,
    endless((at) => ({ prefixes: names(at), marker: [names(at).at(-1)!] })),
  );
  const error = await failure(storeAt(t, endpoint).listPrefixes('s/'));
  t.match(error, { code: 'store.too_many', message: /more than 20000 objects below s\// });
});

t.test('a listing that stands still or goes back is asked for three times, and no more', async (t) => {
  const listings: Record<string, Page[]> = {
    'no marker': [{ keys: ['a'], marker: [''] }],
    'the same marker': [
      { keys: ['a'], marker: ['a', '1'] },
      { keys: ['b'], marker: ['a', '1'] },
    ],
    'earlier keys': [{ keys: ['m', 'n'], marker: ['n'] }, { keys: ['a', 'b'] }],
    'earlier names': [{ prefixes: ['m/', 'n/'], marker: ['n/'] }, { prefixes: ['a/'] }],
  };
  for (const [what, pages] of Object.entries(listings)) {
    const handlers = pages.map(answer);
    const { endpoint, requests } = await answering(t, (request, ...args) => {
      const isFirst = !request.url!.includes('key-marker');
      (isFirst ? handlers[0]! : handlers.at(-1)!)(request, ...args);
    });
    const plain = storeAt(t, endpoint);
    const asked = await failure(plain.listPrefixes(''));
    t.match(
      asked,
      { code: 'store.transient', kind: 'store', message: /does not say where its listing/ },
      what,
    );
    const before = requests.length;
    const patient = new RetryStore(plain, { sleep: () => Promise.resolve() });
    t.match(await failure(patient.listPrefixes('')), { code: 'store.failed', exitStatus: 15 }, what);
    t.equal(requests.length - before, 3 * before, what);
  }
});

t.test('a listing that stands still after one more object each time', async (t) => {
  let at = 0;
  const { endpoint, requests } = await answering(t, (...args) => {
    answer({ keys: [number(++at)], marker: ['m'] })(...args);
  });
  const patient = new RetryStore(storeAt(t, endpoint), { sleep: () => Promise.resolve() });
  t.match(await failure(all(patient)), { code: 'store.failed', exitStatus: 15 });
  t.equal(requests.length, 6);
});

t.test('what servers do differently is no fault', async (t) => {
  const { endpoint } = await answering(
    t,
    answer({ keys: ['a', 'b'], marker: ['b', '1'] }),
    answer({ keys: ['b', 'b'], marker: ['b', '2'] }),
    answer({ marker: ['c'] }),
    answer({ keys: ['\u{ff5e}', '\u{1f600}'], marker: ['\u{1f600}'] }),
    answer({ keys: ['\u{1f600}b'] }),
  );
  t.strictSame(await all(storeAt(t, endpoint)), ['a', 'b', 'b', 'b', '\u{ff5e}', '\u{1f600}', '\u{1f600}b']);
});

t.test('a directory with more in it than is listed', async (t) => {
  const root = t.testdir({ a: { one: '', two: '', ümlaut: '', three: '' }, b: { four: '' } });
  const directories = new HeldDirectories(root, 'directory /x');
  t.teardown(() => directories.close());
  const list = async (mostListed: number): Promise<string[]> => {
    const walk = { prefix: '', after: '', signal: undefined, mostListed };
    const keys: string[] = [];
    for await (const { key } of new Lister(directories, 'directory /x', walk).objects('')) keys.push(key);
    return keys;
  };
  t.strictSame(await list(7), ['a/one', 'a/three', 'a/two', 'b/four']);
  t.match(await failure(list(6)), {
    code: 'store.too_many',
    kind: 'store',
    message: /directory \/x lists more than 6/,
  });
});
