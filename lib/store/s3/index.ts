// A store in a versioned S3 bucket. The only room that knows the AWS SDK. Retries nothing (lib/store/retry.ts does), and
// reads back before it calls an unclear create a failure.

import type { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type ListObjectVersionsCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { systemClock, type Clock } from '../../clock.js';
import { RrbackupError } from '../../errors/index.js';
import { checkRange, exists, missing, shortBody, throwIfAborted, transient } from '../failures.js';
import { checkKey, checkPrefix } from '../key.js';
import { probe } from '../probe.js';
import type { ByteRange, Call, GetOptions, ObjectStore, StoredObject } from '../types.js';
import { readBody } from './body.js';
import {
  connections,
  endpointOf,
  makeClient,
  regionOf,
  type S3Configuration,
  type S3Timeouts,
} from './client.js';
import { factsOf, notS3, s3Failure, type Place } from './failure.js';

export { connections };

export interface S3StoreOptions {
  readonly clock?: Clock;
  readonly timeouts?: S3Timeouts;
}

interface Written {
  readonly versionId: string;
}

/** What S3 calls the version of an object that was stored while versioning was off. */
const unversioned = 'null';

const defaultTimeouts: S3Timeouts = { idle_ms: 30_000, connect_ms: 10_000 };

export class S3Store implements ObjectStore {
  readonly location: string;
  conditionalCreate = true;
  readonly #client: S3Client;
  readonly #bucket: string;
  /** '' or ending in '/'. */
  readonly #prefix: string;
  readonly #server: string;
  readonly #isAws: boolean;
  readonly #storageClass: string | undefined;
  readonly #clock: Clock;
  readonly #timeouts: S3Timeouts;
  #hasAnswered = false;

  constructor(configuration: S3Configuration, options: S3StoreOptions = {}) {
    const endpoint = endpointOf(configuration);
    const prefix = configuration.prefix.replace(/^\/+|\/+$/g, '');
    this.#timeouts = options.timeouts ?? defaultTimeouts;
    this.#clock = options.clock ?? systemClock;
    this.#client = makeClient(configuration, this.#timeouts);
    this.#bucket = configuration.bucket;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    this.#isAws = endpoint === undefined;
    this.#server = endpoint ?? `AWS in ${regionOf(configuration)}`;
    this.#storageClass = configuration.storageClass;
    this.location = `s3://${[this.#bucket, prefix].filter((part) => part !== '').join('/')} (${this.#server})`;
  }

  async prepare(options: Call & { note(message: string): void }): Promise<void> {
    if (await this.#isVersioned(options)) return;
    await this.#send('enabling versioning (s3:PutBucketVersioning)', options, (sending) =>
      this.#client.send(
        new PutBucketVersioningCommand({
          Bucket: this.#bucket,
          VersioningConfiguration: { Status: 'Enabled' },
        }),
        sending,
      ),
    );
    if (!(await this.#isVersioned(options))) throw notS3(this.#place());
    options.note(
      `versioning was off for the bucket ${this.#bucket}; it is now on, because history rests on it`,
    );
  }

  put(key: string, bytes: Uint8Array, call: Call = {}): Promise<Written> {
    return this.#put(key, bytes, call, {});
  }

  async create(key: string, bytes: Uint8Array, call: Call = {}): Promise<Written> {
    return this.conditionalCreate ? this.#createNew(key, bytes, call) : this.#put(key, bytes, call, {});
  }

  async get(key: string, options: GetOptions = {}): Promise<Buffer> {
    const { range } = options;
    if (range?.length === 0) {
      const object = await this.stat(key, options);
      if (object === undefined) throw missing(this.location, key, options.versionId);
      checkRange(this.location, key, range, object.size_bytes);
      return Buffer.alloc(0);
    }
    return (await this.#read(key, options)).bytes;
  }

  async stat(key: string, options: Call & { versionId?: string } = {}): Promise<StoredObject | undefined> {
    checkKey(key);
    throwIfAborted(options.signal);
    let failed: unknown;
    try {
      const head = await this.#client.send(new HeadObjectCommand(this.#address(key, options.versionId)), {
        ...(options.signal === undefined ? {} : { abortSignal: options.signal }),
      });
      this.#noteAnswer(head.$metadata.requestId);
      if (head.ContentLength === undefined) throw notS3(this.#place());
      return {
        key,
        versionId: head.VersionId ?? unversioned,
        size_bytes: head.ContentLength,
        modified_ms: head.LastModified?.getTime() ?? 0,
      };
    } catch (error) {
      failed = error;
    }
    // The answer to a HEAD has no body and so no reason; that to a GET has.
    if (factsOf(failed).status !== 0) {
      try {
        await this.#read(key, { ...options, range: { offset: 0, length: 1 } });
      } catch (error) {
        if (error instanceof RrbackupError && error.code === 'store.missing') return undefined;
        if (error instanceof RrbackupError && error.code !== 'store.short_body') throw error;
      }
    }
    throw s3Failure(this.#place(), key, failed);
  }

  async *list(prefix: string, options: Call & { after?: string } = {}): AsyncIterable<StoredObject> {
    checkPrefix(prefix);
    const after = this.#prefix + (options.after ?? '');
    for await (const page of this.#pages(
      prefix,
      options,
      options.after === undefined ? {} : { KeyMarker: after },
    )) {
      for (const { Key, VersionId, Size, LastModified } of page.Versions ?? []) {
        // Ceph 16 begins with the marker itself, AWS after it.
        if (Key === undefined || (options.after !== undefined && Key <= after)) continue;
        yield {
          key: Key.slice(this.#prefix.length),
          versionId: VersionId ?? unversioned,
          size_bytes: Size ?? 0,
          modified_ms: LastModified?.getTime() ?? 0,
        };
      }
    }
  }

  async listPrefixes(prefix: string, call: Call = {}): Promise<string[]> {
    checkPrefix(prefix);
    const names = new Set<string>();
    for await (const page of this.#pages(prefix, call, { Delimiter: '/' })) {
      for (const { Prefix } of page.CommonPrefixes ?? []) {
        if (Prefix !== undefined) names.add(Prefix.slice(this.#prefix.length + prefix.length, -1));
      }
    }
    return [...names].sort();
  }

  async remove(key: string, versionId: string, call: Call = {}): Promise<void> {
    checkKey(key);
    if (versionId === '') {
      throw new RrbackupError({
        code: 'store.failed',
        kind: 'store',
        message: `${key} cannot be removed without its version id`,
        guidance: 'report this as a bug of rrbackup',
      });
    }
    try {
      await this.#send(`removing ${key}`, call, (sending) =>
        this.#client.send(new DeleteObjectCommand(this.#address(key, versionId)), sending),
      );
    } catch (error) {
      if (!isMissing(error, versionId)) throw error;
    }
  }

  probeConditionalCreate(call: Call = {}): Promise<boolean> {
    return probe(
      {
        create: (key, bytes, inner) => this.#createNew(key, bytes, inner),
        list: (prefix, inner) => this.list(prefix, inner),
        remove: (key, versionId, inner) => this.remove(key, versionId, inner),
      },
      call,
    );
  }

  async close(): Promise<void> {
    this.#client.destroy();
  }

  async #isVersioned(call: Call): Promise<boolean> {
    const versioning = await this.#send(
      'reading whether versioning is on (s3:GetBucketVersioning)',
      call,
      (sending) => this.#client.send(new GetBucketVersioningCommand({ Bucket: this.#bucket }), sending),
    );
    return versioning.Status === 'Enabled';
  }

  async #put(key: string, bytes: Uint8Array, call: Call, condition: { IfNoneMatch?: '*' }): Promise<Written> {
    checkKey(key);
    const command = new PutObjectCommand({
      ...this.#address(key, undefined),
      Body: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      ...(this.#isAws ? { ChecksumAlgorithm: 'SHA256' } : {}),
      ...(this.#storageClass === undefined || !key.startsWith('packs/')
        ? {}
        : { StorageClass: this.#storageClass as 'STANDARD' }),
      ...condition,
    });
    const answer = await this.#send(`storing ${key}`, call, (sending) => this.#client.send(command, sending));
    if (answer.ETag === undefined) throw transient(`${this.#server} did not confirm that it stored ${key}`);
    return { versionId: answer.VersionId ?? unversioned };
  }

  /** After 412, 409 and after every failure that may have been a success, what is there decides. */
  async #createNew(key: string, bytes: Uint8Array, call: Call): Promise<Written> {
    try {
      return await this.#put(key, bytes, call, { IfNoneMatch: '*' });
    } catch (error) {
      if (!(error instanceof RrbackupError)) throw error;
      const isTaken = factsOf(error.cause).status === 412;
      if (!isTaken && error.code !== 'store.transient') throw error;
      const present = await this.#readIfThere(key, call);
      if (present === undefined) {
        throw isTaken ? transient(`${key} was there and is gone again in ${this.location}`, error) : error;
      }
      if (!present.bytes.equals(bytes)) throw exists(this.location, key);
      return { versionId: present.versionId };
    }
  }

  async #readIfThere(key: string, call: Call): Promise<{ bytes: Buffer; versionId: string } | undefined> {
    try {
      return await this.#read(key, call);
    } catch (error) {
      if (error instanceof RrbackupError && error.code === 'store.missing') return undefined;
      throw error;
    }
  }

  async #read(key: string, options: GetOptions): Promise<{ bytes: Buffer; versionId: string }> {
    checkKey(key);
    const { range, signal, versionId } = options;
    const command = new GetObjectCommand({
      ...this.#address(key, versionId),
      ...(range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }),
    });
    let answer;
    try {
      answer = await this.#send(key, options, (sending) => this.#client.send(command, sending));
    } catch (error) {
      if (isMissing(error, versionId)) throw missing(this.location, key, versionId);
      const isPastEnd = error instanceof RrbackupError && factsOf(error.cause).status === 416;
      throw isPastEnd && range !== undefined ? shortBody(this.location, key, range.length, 0) : error;
    }
    const stream = answer.Body as Readable | undefined;
    if (stream === undefined) throw transient(`${this.#server} answered without the bytes of ${key}`);
    const promised_bytes = this.#promised(key, range, answer);
    if (promised_bytes instanceof RrbackupError) {
      stream.destroy();
      throw promised_bytes;
    }
    const bytes = await readBody(stream, {
      location: this.location,
      key,
      expected_bytes: promised_bytes,
      idle_ms: this.#timeouts.idle_ms,
      signal,
    });
    return { bytes, versionId: answer.VersionId ?? unversioned };
  }

  /** How many bytes must come; an error if the answer is not about the range that was asked for. */
  #promised(
    key: string,
    range: ByteRange | undefined,
    answer: { ContentLength?: number | undefined; ContentRange?: string | undefined },
  ): number | undefined | RrbackupError {
    if (range === undefined) return answer.ContentLength;
    const isAsked = answer.ContentRange?.startsWith(
      `bytes ${range.offset}-${range.offset + range.length - 1}/`,
    );
    if (isAsked === true) return range.length;
    return shortBody(this.location, key, range.length, answer.ContentLength ?? 0);
  }

  async *#pages(
    prefix: string,
    call: Call,
    start: { KeyMarker?: string; Delimiter?: string },
  ): AsyncIterable<ListObjectVersionsCommandOutput> {
    const request = { Bucket: this.#bucket, Prefix: this.#prefix + prefix, ...start };
    let marker: { KeyMarker?: string; VersionIdMarker?: string } = {};
    for (;;) {
      const command = new ListObjectVersionsCommand({ ...request, ...marker });
      const page = await this.#send(`listing ${prefix} (s3:ListBucketVersions)`, call, (sending) =>
        this.#client.send(command, sending),
      );
      // An error in the body of a 200 must not look like an empty bucket.
      if (page.Name === undefined) throw notS3(this.#place());
      yield page;
      if (page.IsTruncated !== true) return;
      const next = {
        ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: page.NextKeyMarker }),
        ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
      };
      if (next.KeyMarker === undefined || sameMarker(next, marker)) {
        throw transient(`${this.#server} does not say where its listing of ${prefix} goes on`);
      }
      marker = next;
    }
  }

  #address(key: string, versionId: string | undefined): { Bucket: string; Key: string; VersionId?: string } {
    return {
      Bucket: this.#bucket,
      Key: this.#prefix + key,
      ...(versionId === undefined || versionId === '' ? {} : { VersionId: versionId }),
    };
  }

  async #send<T>(
    what: string,
    call: Call,
    send: (sending: { abortSignal?: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    throwIfAborted(call.signal);
    try {
      const answer = await send(call.signal === undefined ? {} : { abortSignal: call.signal });
      this.#noteAnswer(answer.$metadata.requestId);
      return answer;
    } catch (error) {
      throwIfAborted(call.signal);
      if (factsOf(error).code !== '') this.#hasAnswered = true;
      throw s3Failure(this.#place(), what, error);
    }
  }

  /** Only S3 servers number their answers; what else says 200 to everything is none. */
  #noteAnswer(requestId: string | undefined): void {
    if (requestId !== undefined) this.#hasAnswered = true;
  }

  #place(): Place {
    return {
      location: this.location,
      bucket: this.#bucket,
      server: this.#server,
      hasAnswered: this.#hasAnswered,
      now_ms: Number(this.#clock.now_ns() / 1_000_000n),
    };
  }
}

function sameMarker(
  a: { KeyMarker?: string; VersionIdMarker?: string },
  b: { KeyMarker?: string; VersionIdMarker?: string },
): boolean {
  return a.KeyMarker === b.KeyMarker && a.VersionIdMarker === b.VersionIdMarker;
}

/** No such key or version. AWS calls a version id that it never gave out an invalid argument, and a marker 405. */
function isMissing(error: unknown, versionId: string | undefined): boolean {
  if (!(error instanceof RrbackupError)) return false;
  const { code, status } = factsOf(error.cause);
  if (code === 'NoSuchKey' || code === 'NoSuchVersion') return true;
  return versionId !== undefined && versionId !== '' && (status === 405 || code === 'InvalidArgument');
}
