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

  t.teardown(() => client.destroy());
}
