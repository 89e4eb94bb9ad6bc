// Users of the Ceph that a test has started, who may do what a policy of the bucket says.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { S3Client } from '@aws-sdk/client-s3';
import type { S3Server } from '../s3-server.js';

const run = promisify(execFile);

export interface User {
  readonly accessKey: string;
  readonly secretKey: string;
}

/** A user whom nothing is allowed yet; `state`: see S3Server. */
export async function newUser(state: string, uid: string): Promise<User> {
  const user = { accessKey: `AK${uid}`, secretKey: `Recognisable-${uid}-secret` };
  const words = ['--uid', uid, '--display-name', uid];
  const keys = ['--access-key', user.accessKey, '--secret-key', user.secretKey];
  const ceph = ['-c', `${state}/ceph.conf`, '-n', 'client.admin'];
  await run('radosgw-admin', [...ceph, 'user', 'create', ...words, ...keys]);
  return user;
}

export const clientOf = (server: S3Server, { accessKey, secretKey }: User): S3Client =>
  new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
  });
