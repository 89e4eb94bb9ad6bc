// Opens the store that a configuration names, with bounded concurrency and retries around it.

import type { Clock } from '../clock.js';
import { DirectoryStore } from './directory/index.js';
import { LimitStore } from './limit.js';
import { RetryStore, type RetryNote } from './retry.js';
import { connections, S3Store } from './s3/index.js';
import type { ObjectStore, StoreConfiguration } from './types.js';

export interface OpenStoreOptions {
  readonly clock?: Clock;
  /** Told before each repetition of a call that failed in passing. */
  onRetry?(note: RetryNote): void;
}

/** Touches neither disk nor network; the first call does. */
export function openStore(configuration: StoreConfiguration, options: OpenStoreOptions = {}): ObjectStore {
  const store =
    configuration.kind === 's3'
      ? new S3Store(configuration, options)
      : new DirectoryStore(configuration.path);
  return new RetryStore(new LimitStore(store, connections), options);
}
