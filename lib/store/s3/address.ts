// What a configuration says of a bucket's place, in words and checked. Without the AWS SDK: it is asked before that is loaded.

import { RrbackupError } from '../../errors/index.js';
import type { StoreConfiguration } from '../types.js';

export type S3Configuration = Extract<StoreConfiguration, { kind: 's3' }>;

/** Sockets to one server at the most. */
export const maximumConnections = 64;

const defaultRegion = 'us-east-1';

export function regionOf(configuration: S3Configuration): string {
  return configuration.region ?? defaultRegion;
}

/** The endpoint without user, password and path; undefined for AWS. Throws 'store.wrong_endpoint' for what is no URL. */
export function endpointOf(configuration: S3Configuration): string | undefined {
  if (configuration.endpoint === undefined) return undefined;
  const url = URL.canParse(configuration.endpoint) ? new URL(configuration.endpoint) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new RrbackupError({
      code: 'store.wrong_endpoint',
      kind: 'store',
      message: 'the endpoint of the store is not an address that begins with http:// or https://',
      guidance: 'write it in full, for example https://s3.example.org',
    });
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** Of all keys: '' or ending in '/'. */
export function prefixOf(configuration: S3Configuration): string {
  const prefix = configuration.prefix.replace(/^\/+|\/+$/g, '');
  return prefix === '' ? '' : `${prefix}/`;
}

/** The endpoint's address, or 'AWS in <region>'. */
export function serverOf(configuration: S3Configuration): string {
  return endpointOf(configuration) ?? `AWS in ${regionOf(configuration)}`;
}

/** ObjectStore.location. */
export function s3Location(configuration: S3Configuration): string {
  const path = `${configuration.bucket}/${prefixOf(configuration)}`.replace(/\/$/, '');
  return `s3://${path} (${serverOf(configuration)})`;
}
