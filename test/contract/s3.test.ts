import { DeleteObjectCommand, S3Client } from '@aws-sdk/client-s3';
import t from 'tap';
import { S3Store } from '../../lib/store/s3/index.js';
import { s3Server } from '../s3-server.js';
import { storeContract } from './store.js';

t.setTimeout(300_000);

const server = await s3Server(t);

if (server === undefined) {
  t.pass('skipped: no S3 server');
} else {
  const { endpoint, accessKey, secretKey } = server;
  const bucket = await server.newBucket();
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
  });
  let count = 0;
  const prefixes = new WeakMap<object, string>();
  const open = async (): Promise<S3Store> => {
    count++;
    const prefix = `some/prefix ${count}`;
    const store = new S3Store({ kind: 's3', bucket, prefix, endpoint, accessKey, secretKey });
    await store.prepare({ note: (message) => t.fail(message) });
    prefixes.set(store, prefix);
    return store;
  };

  // Ceph 16 ignores If-None-Match; a newer one does not. The probe decides which promises must hold.
  const probing = await open();
  const createsConditionally = await probing.probeConditionalCreate();
  t.comment(`this server ${createsConditionally ? 'honours' : 'ignores'} If-None-Match`);
  await probing.close();

  storeContract(t, {
    open,
    isVersioned: true,
    createsConditionally,
    async hide(store, key) {
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: `${prefixes.get(store)!}/${key}` }));
    },
    manyKeys: 1100,
  });

  t.test('a bucket without versioning gets it, and keeps what it had', async (t) => {
    const plain = await server.newBucket({ versioning: false });
    const store = new S3Store({ kind: 's3', bucket: plain, prefix: '', endpoint, accessKey, secretKey });
    const before = await store.put('key', Buffer.from('before'));
    const notes: string[] = [];
    await store.prepare({ note: (message) => notes.push(message) });
    await store.prepare({ note: (message) => notes.push(message) });
    t.equal(notes.length, 1);
    t.match(notes[0], `versioning was off for the bucket ${plain}`);
    const after = await store.put('key', Buffer.from('after'));
    t.not(after.versionId, before.versionId);
    t.equal((await store.get('key', before)).toString(), 'before');
    await store.close();
  });

  t.test('what a real server says when something is wrong', async (t) => {
    const right = { kind: 's3', bucket, prefix: '', endpoint, accessKey, secretKey } as const;
    const cases: [string, Partial<typeof right>, string][] = [
      ['no such bucket', { bucket: 'there-is-no-such-bucket' as typeof bucket }, 'store.no_bucket'],
      ['unknown access key', { accessKey: 'UNKNOWN' }, 'store.wrong_keys'],
      ['wrong secret key', { secretKey: 'wrong' }, 'store.wrong_keys'],
    ];
    for (const [name, wrong, code] of cases) {
      const store = new S3Store({ ...right, ...wrong });
      await t.rejects(store.prepare({ note: (message) => t.fail(message) }), { code }, name);
      await t.rejects(store.stat('key'), { code }, `${name}: stat`);
      await t.rejects(store.get('key'), { code }, `${name}: get`);
      await t.rejects(store.listPrefixes(''), { code }, `${name}: listPrefixes`);
      await t.rejects(store.put('key', Buffer.from('x')), { code }, `${name}: put`);
      await store.close();
    }
  });

  t.teardown(() => client.destroy());
}
