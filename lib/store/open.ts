// Opens the store that a configuration names, with bounded concurrency and retries around it.

import type { Clock } from '../clock.js';
import { DirectoryStore } from './directory/index.js';
import { LimitStore } from './limit.js';
import { RetryStore, type RetryNote } from './retry.js';
import type { ObjectStore, StoreConfiguration } from './types.js';

export interface OpenStoreOptions {
  readonly clock?: Clock;
  /** Told before each repetition of a call that failed in passing. */
  onRetry?(note: RetryNote): void;
}

/** Calls of one store under way at a time. */
const concurrentCalls = 16;

/** Touches neither disk nor network; the first call does. The AWS SDK is loaded only where S3 is meant: it takes its time. */
export async function openStore(
  configuration: StoreConfiguration,
  options: OpenStoreOptions = {},
): Promise<ObjectStore> {
  const store =
    configuration.kind === 's3'
      ? new (await import('./s3/index.js')).S3Store(configuration, options)
      : new DirectoryStore(configuration.path);
  return new RetryStore(new LimitStore(store, concurrentCalls), options);
}
