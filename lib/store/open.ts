// Opens the store that a configuration names, with bounded concurrency and retries around it. The only place that knows
// which wrappers go around which store.

import type { Clock } from '../clock.js';
import { AdaptiveLimit } from './adaptive.js';
import { DirectoryStore } from './directory/index.js';
import { LimitStore } from './limit.js';
import { RecentStore } from './recent.js';
import { RetryStore, type RetryNote } from './retry.js';
import { maximumConnections, s3Location } from './s3/address.js';
import type { ObjectStore, StoreConfiguration } from './types.js';

export interface OpenStoreOptions {
  readonly clock?: Clock;
  /** Told before each repetition of a call that failed in passing. */
  onRetry?(note: RetryNote): void;
}

/** Calls of a directory under way at a time. */
const directoryCalls = 16;
/** Of an S3 store: a few on loopback, dozens where an answer takes long. */
const s3Calls = { initial: 16, minimum: 2, maximum: maximumConnections };

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
  if (configuration.kind === 'directory') {
    const limited = new LimitStore(new DirectoryStore(configuration.path), directoryCalls);
    return new RetryStore(limited, { ...options, equalAnswers: 1 });
  }
  const { S3Store } = await import('./s3/index.js');
  const limit = new AdaptiveLimit({ ...s3Calls, ...(options.clock && { clock: options.clock }) });
  return new RecentStore(new RetryStore(new LimitStore(new S3Store(configuration, options), limit), options));
}
