// One S3 server, bucket and prefix: sends requests and turns what goes wrong into the store's errors. Knows no operation of
// the contract.

import { systemClock, type Clock } from '../../clock.js';
import type { RrbackupError } from '../../errors/index.js';
import { throwIfAborted } from '../failures.js';
import { type Call, mostListed } from '../types.js';
import { endpointOf, prefixOf, type S3Configuration, s3Location, serverOf } from './address.js';
import { makeClient, type S3Timeouts } from './client.js';
import { factsOf, notS3, s3Failure, type Place } from './failure.js';
import type { S3Client } from './sdk.js';

export interface S3StoreOptions {
  readonly clock?: Clock;
  readonly timeouts?: S3Timeouts;
  /** For tests: objects in one listing. */
  readonly mostListed?: number;
}

/** What every answer of the SDK has. */
interface Answer {
  readonly $metadata: { readonly requestId?: string | undefined };
}

export interface Sending {
  readonly abortSignal?: AbortSignal;
}

const defaultTimeouts: S3Timeouts = { idle_ms: 30_000, connect_ms: 10_000 };

export class S3Connection {
  readonly client: S3Client;
  readonly bucket: string;
  /** '' or ending in '/'. */
  readonly prefix: string;
  /** The endpoint's address, or 'AWS in <region>'. */
  readonly server: string;
  readonly isAws: boolean;
  readonly location: string;
  readonly idle_ms: number;
  readonly mostListed: number;
  readonly #clock: Clock;
  #hasAnswered = false;

  constructor(configuration: S3Configuration, options: S3StoreOptions) {
    const timeouts = options.timeouts ?? defaultTimeouts;
    this.client = makeClient(configuration, timeouts);
    this.bucket = configuration.bucket;
    this.prefix = prefixOf(configuration);
    this.isAws = endpointOf(configuration) === undefined;
    this.server = serverOf(configuration);
    this.location = s3Location(configuration);
    this.idle_ms = timeouts.idle_ms;
    this.mostListed = options.mostListed ?? mostListed;
    this.#clock = options.clock ?? systemClock;
  }

  /** `what` is being done, for the message: 'storing packs/…'. */
  async send<T extends Answer>(
    what: string,
    call: Call,
    request: (client: S3Client, sending: Sending) => Promise<T>,
  ): Promise<T> {
    throwIfAborted(call.signal);
    try {
      const answer: T = await request(
        this.client,
        call.signal === undefined ? {} : { abortSignal: call.signal },
      );
      // Only S3 servers number their answers; what else says 200 to everything is none.
      if (answer.$metadata.requestId !== undefined) this.#hasAnswered = true;
      return answer;
    } catch (error) {
      throwIfAborted(call.signal);
      if (factsOf(error).code !== '') this.#hasAnswered = true;
      throw s3Failure(this.#place(), what, error);
    }
  }

  /** For a 200 that does not say what its operation must say. */
  notS3(): RrbackupError {
    return notS3(this.#place());
  }

  #place(): Place {
    return {
      location: this.location,
      bucket: this.bucket,
      server: this.server,
      hasAnswered: this.#hasAnswered,
      now_ms: Number(this.#clock.now_ns() / 1_000_000n),
    };
  }
}
