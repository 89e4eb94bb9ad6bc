// A real S3 server for tests: the one named in the environment, else one started for this process by scripts/s3-server.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import type { Test } from 'tap';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../../scripts/s3-server', import.meta.url));

export interface S3Server {
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** Where scripts/s3-server keeps it, if that started it. */
  readonly state: string | undefined;
  /** Makes a bucket of its own with versioning on, or as it is without; answers its name. */
  newBucket(options?: { versioning: boolean }): Promise<string>;
}

let buckets = 0;

function describe(environment: Readonly<Record<string, string | undefined>>): S3Server | undefined {
  const endpoint = environment['RRBACKUP_S3_ENDPOINT'];
  const accessKey = environment['RRBACKUP_S3_ACCESS_KEY'];
  const secretKey = environment['RRBACKUP_S3_SECRET_KEY'];
  if (endpoint === undefined || accessKey === undefined || secretKey === undefined) return undefined;
  return {
    endpoint,
    accessKey,
    secretKey,
    state: environment['RRBACKUP_S3_STATE'],
    async newBucket({ versioning } = { versioning: true }) {
      const client = new S3Client({
        endpoint,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
      });
      buckets++;
      const name = `test-${process.pid}-${buckets}-${Math.random().toString(36).slice(2, 8)}`;
      await client.send(new CreateBucketCommand({ Bucket: name }));
      if (versioning) {
        await client.send(
          new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration: { Status: 'Enabled' } }),
        );
      }
      client.destroy();
      return name;
    },
  };
}

/** The one named in the environment. */
export function givenServer(): S3Server | undefined {
  return describe(process.env);
}

/** Undefined, with the reason as a comment, where there is no server and none can be started. Stopped when `t` ends. */
export async function s3Server(t: Pick<Test, 'teardown' | 'comment'>): Promise<S3Server | undefined> {
  const given = givenServer();
  if (given !== undefined) return given;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/radosgw')) {
    t.comment(
      'no S3 server: set RRBACKUP_S3_ENDPOINT and keys, or run as root with ceph-mon ceph-osd radosgw installed',
    );
    return undefined;
  }
  const state = await mkdtemp(join(tmpdir(), 'rrbackup-s3-'));
  t.teardown(async () => {
    await run(script, ['down', state]);
    await rm(state, { recursive: true, force: true });
  });
  const { stdout } = await run(script, ['up', state], { timeout: 240_000 });
  return describe(
    Object.fromEntries(stdout.split('\n').map((line) => line.split(/=(.*)/s, 2) as [string, string])),
  );
}
