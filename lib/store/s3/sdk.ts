// The AWS SDK. It is CommonJS in one large file: required rather than imported, it loads in three quarters of the time, because
// Node does not first search its text for the names that it exports.

import { createRequire } from 'node:module';
import type * as ClientS3 from '@aws-sdk/client-s3';
import type * as HttpHandler from '@smithy/node-http-handler';

const load = createRequire(import.meta.url);

export const {
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} = load('@aws-sdk/client-s3') as typeof ClientS3;
export type S3Client = ClientS3.S3Client;
export type ListObjectVersionsCommandOutput = ClientS3.ListObjectVersionsCommandOutput;
export const { NodeHttpHandler } = load('@smithy/node-http-handler') as typeof HttpHandler;
