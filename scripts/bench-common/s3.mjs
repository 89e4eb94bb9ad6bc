// S3 servers, near and far: Ceph on this machine, and the same behind the project's slow proxy, which counts requests and bytes.

import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  ListObjectVersionsCommand,
  S3Client,
} from '@aws-sdk/client-s3';

const script = fileURLToPath(new URL('../s3-server', import.meta.url));

/** Starts both; put away with the session. */
export async function startS3(session, { directory, dist, roundTrip_ms, bandwidth_bytes_per_s }) {
  const state = join(directory, 's3-server');
  process.stderr.write('starting an S3 server (Ceph)\n');
  session.defer(async () => {
    execFileSync(script, ['down', state], { stdio: 'ignore' });
  });
  const { stdout } = await session.run(script, ['up', state]);
  const environment = Object.fromEntries(stdout.split('\n').map((line) => line.split(/=(.*)/s, 2)));
  const endpoint = environment.RRBACKUP_S3_ENDPOINT;
  const accessKey = environment.RRBACKUP_S3_ACCESS_KEY;
  const secretKey = environment.RRBACKUP_S3_SECRET_KEY;
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
  });

  const proxy = session.startServer(
    process.execPath,
    [
      join(dist, 'test/slow-proxy/main.js'),
      ...['--target', endpoint, '--round-trip', `${roundTrip_ms}`, '--bandwidth', `${bandwidth_bytes_per_s}`],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  session.defer(async () => proxy.kill('SIGKILL'));
  const answers = createInterface({ input: proxy.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const { done, value } = await answers.next();
    if (done) throw new Error('the slow proxy has ended');
    return JSON.parse(value);
  };
  const slowEndpoint = (await answer()).endpoint;

  const versions = async function* (bucket) {
    let page = {};
    do {
      page = await client.send(
        new ListObjectVersionsCommand({
          Bucket: bucket,
          KeyMarker: page.NextKeyMarker,
          VersionIdMarker: page.NextVersionIdMarker,
        }),
      );
      yield* page.Versions ?? [];
      yield* page.DeleteMarkers ?? [];
    } while (page.IsTruncated);
  };

  return {
    endpoint,
    slowEndpoint,
    accessKey,
    secretKey,
    async newBucket(name) {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    },
    async stored_bytes(bucket) {
      let stored_bytes = 0;
      for await (const { Size = 0 } of versions(bucket)) stored_bytes += Size;
      return stored_bytes;
    },
    /** So that what one tool stored leaves the server's memory. */
    async emptyBucket(bucket) {
      for await (const { Key, VersionId } of versions(bucket))
        await client.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId }));
    },
    /** Of the proxy: { requests, received_bytes, … } since it began. */
    async counts() {
      proxy.stdin.write('counts\n');
      return answer();
    },
  };
}
