// Opens the store that a configuration names, with bounded concurrency and retries around it.

import type { Clock } from '../clock.js';
import { DirectoryStore } from './directory/index.js';
import { LimitStore } from './limit.js';
import { RecentStore } from './recent.js';
import { RetryStore, type RetryNote } from './retry.js';
import { s3Location } from './s3/address.js';
import type { ObjectStore, StoreConfiguration } from './types.js';

export interface OpenStoreOptions {
  readonly clock?: Clock;
  /** Told before each repetition of a call that failed in passing. */
  onRetry?(note: RetryNote): void;
}

/** Calls of one store under way at a time. */
const concurrentCalls = 16;

/** `ObjectStore.location` of the store, before it is opened. */
export function storeLocation(configuration: StoreConfiguration): string {
  return configuration.kind === 's3'
    ? s3Location(configuration)
    : new DirectoryStore(configuration.path).location;
}

/** Touches neither disk nor network; the first call does. The AWS SDK is loaded only where S3 is meant: it takes its time. */
export async function openStore(
  configuration: StoreConfiguration,
  options: OpenStoreOptions = {},
): Promise<ObjectStore> {
  const around = (store: ObjectStore) => new RetryStore(new LimitStore(store, concurrentCalls), options);
  if (configuration.kind === 'directory') return around(new DirectoryStore(configuration.path));
  const { S3Store } = await import('./s3/index.js');
  return new RecentStore(around(new S3Store(configuration, options)));
}
