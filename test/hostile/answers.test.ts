// An S3 server that means harm: answers without an end, and such as take a parser much memory or time. Each call ends, in words, in
// a process that stays small.

import { execFile } from 'node:child_process';
import type { ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { answering } from '../store/http-server.js';

const child = fileURLToPath(new URL('./answers-child.js', import.meta.url));
const most_kB = 256 * 1024;
const MiB = 2 ** 20;
/** Just below what is read of an answer. */
const full_bytes = 1.5 * MiB - 200;
const listing = '<?xml version="1.0"?><ListVersionsResult><Name>bucket</Name>';
const version = '<Version><Key>a</Key><VersionId>1</VersionId><Size>1</Size></Version>';

/** As often as fits. */
const full = (text: string): string => text.repeat(Math.floor(full_bytes / text.length));
const filled = (text: string): string => `${listing}${full(text)}</ListVersionsResult>`;

/** By bucket: what stands in the answer before it goes on for ever, or a whole one. */
const endless: Readonly<Record<string, string>> = {
  'endless-versions': `${listing}${version}`,
  'endless-text': `${listing}<Version><Key>`,
  'endless-space': ' ',
};
const whole: Readonly<Record<string, string>> = {
  'full-text': `${listing}<KeyMarker>${full('k')}</KeyMarker></ListVersionsResult>`,
  'full-entities': `${listing}<KeyMarker>${full('&amp;')}</KeyMarker></ListVersionsResult>`,
  'full-versions': filled(version),
  'full-tags': filled('<a/>'),
  'full-names': `${listing}${Array.from({ length: 150_000 }, (_, index) => `<n${index}/>`).join('')}</ListVersionsResult>`,
  'full-attributes': `<ListVersionsResult ${full('a="b" ')}/>`,
  'full-depth': full('<a>'),
  'full-types': full('<!doctype>'),
  'full-comments': full('<!---->'),
};

/** For ever, as fast as it is taken. */
function goOn(response: ServerResponse, start: string): void {
  const part = Buffer.from((start.replace(listing, '') || start).repeat(1000));
  const more = (): void => {
    while (!response.destroyed) if (!response.write(part)) return;
  };
  response.on('drain', more);
  response.write(start);
  more();
}

interface Outcome {
  readonly kind?: string;
  readonly code: string;
  readonly message: string;
  readonly peak_kB: number;
}

const skip = process.platform === 'linux' ? false : 'the peak of memory is asked of /proc';

void t.test('an evil S3 server', { skip }, async (t) => {
  const { endpoint } = await answering(t, (request, response) => {
    const [, bucket = '', key] = new URL(request.url!, 'http://localhost').pathname.split('/');
    const isError = bucket.startsWith('error-');
    const name = bucket.replace(/^error-/, '');
    const etag = { etag: '"e"', 'x-amz-version-id': 'v1', 'x-amz-request-id': 'tx1' };
    response.on('error', () => undefined);
    if (request.method === 'GET' && key === 'key' && !isError && name === 'long')
      response.writeHead(200, { ...etag, 'content-length': '5000000000' }).write('x');
    else {
      response.writeHead(isError ? 404 : 200, etag);
      const start = endless[name];
      if (start === undefined) response.end(whole[name]);
      else goOn(response, start);
    }
  });
  const calls = ['list', 'names', 'prepare', 'put', 'remove', 'slot', 'range'];
  const askedFor = {
    'without an end': [
      ...Object.keys(endless).flatMap((bucket) => calls.map((call) => `${call} ${bucket}`)),
      ...Object.keys(endless).flatMap((bucket) => ['list', 'get'].map((call) => `${call} error-${bucket}`)),
    ],
    'which takes the parser the most memory': ['list full-entities'],
    'as long as they may be': Object.keys(whole).map((bucket) => `list ${bucket}`),
    'an object without an end': ['get long', 'get endless-space'],
  };
  for (const [what, asked] of Object.entries(askedFor)) {
    await t.test(what, async (t) => {
      const args = ['--expose-gc', child, endpoint, ...asked];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 120_000 });
      const outcomes = JSON.parse(stdout) as Record<string, Outcome>;
      t.strictSame(Object.keys(outcomes), asked);
      for (const [ask, { kind, code, message, peak_kB }] of Object.entries(outcomes)) {
        const isSaid = ['store', 'damaged'].includes(kind!) && !/undefined|\n|RangeError/.test(message);
        const isWhole = ask.split(' ')[1]! in whole;
        t.ok(isSaid || (isWhole && code === 'accepted'), `${ask}: ${code}, ${message}`);
        // Of many answers one after another it would be the sum.
        if (what !== 'as long as they may be')
          t.ok(peak_kB < most_kB, `${ask}: ${Math.round(peak_kB / 1024)} MiB at the most`);
      }
    });
  }
});
