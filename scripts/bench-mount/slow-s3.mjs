// A far-away S3 server: Ceph on this machine behind the project's slow proxy. Repositories are filled past the proxy.

import { execFileSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, GetObjectCommand, S3Client } from '@aws-sdk/client-s3';

const script = fileURLToPath(new URL('../s3-server', import.meta.url));

/** Starts both; put away with the session. */
export async function startSlowS3(session, { directory, dist, roundTrip_ms, bandwidth_bytes_per_s }) {
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

  return {
    endpoint,
    slowEndpoint,
    accessKey,
    secretKey,
    async newBucket(name) {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    },
    async object(bucket, key) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
      return Body.transformToString();
    },
    /** Of the proxy: { requests, received_bytes, … } since it began. */
    async counts() {
      proxy.stdin.write('counts\n');
      return answer();
    },
  };
}
