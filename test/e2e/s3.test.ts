// The round trip through a real S3 server (Ceph), mounts included, and what its user sees when something is wrong with it.

import t from 'tap';
import { openStore } from '../../lib/store/open.js';
import { isRoot } from '../trees.js';
import { s3Server } from '../s3-server.js';
import { newHome } from './cli.js';
import { roundTrip } from './roundtrip.js';

const skip = isRoot ? false : 'owners, devices and mounts come back as root only';

void t.test('an S3 repository', { skip, timeout: 600_000 }, async (t) => {
  const server = await s3Server(t);
  if (server === undefined) return;
  const { endpoint, accessKey, secretKey } = server;
  const bucket = await server.newBucket();
  const section = (changes: Record<string, string> = {}) =>
    Object.entries({
      access_key: accessKey,
      secret_key: secretKey,
      bucket,
      endpoint,
      prefix: 'a/prefix',
      ...changes,
    })
      .map(([key, value]) => `${key}: ${value}\n`)
      .reduce((text, line) => text + line, '[s3]\n');

  await t.test('round trip', async (t) => {
    const home = newHome(t);
    await roundTrip(t, home, {
      encryption: 'password',
      section: section(),
      deleteStreams: async () => {
        const store = await openStore({
          kind: 's3',
          bucket,
          prefix: 'a/prefix',
          endpoint,
          accessKey,
          secretKey,
        });
        for await (const { key, versionId } of store.list('streams/')) await store.remove(key, versionId);
        await store.close();
      },
    });
  });

  const wrong: readonly [string, Record<string, string>, RegExp][] = [
    ['a bucket that is not there', { bucket: 'no-such-bucket-here' }, /bucket no-such-bucket-here/],
    ['a wrong access key', { access_key: 'AKIANOBODY' }, /key/],
    ['a wrong secret key', { secret_key: 'wrong' }, /key/],
    ['nobody at the endpoint', { endpoint: 'http://127.0.0.1:9' }, /127\.0\.0\.1:9/],
  ];
  for (const [what, changes, sentence] of wrong) {
    await t.test(what, async (t) => {
      const home = newHome(t);
      home.configure(`[main]\nbase_path: ${home.directory}\ncrypt_password: x\n${section(changes)}`);
      const { status, stdout, stderr } = await home.rr('backup');
      t.equal(status, 15);
      t.match(stderr, sentence);
      t.notMatch(stderr, /\n\s+at /, 'no stack trace');
      t.notMatch(stderr, secretKey);
      t.equal(stdout, '');
    });
  }
});
