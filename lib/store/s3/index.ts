// A store in a versioned S3 bucket. The only room that knows the AWS SDK. Retries nothing (lib/store/retry.ts does), and
// reads back before it calls an unclear create a failure.

import type { Readable } from 'node:stream';
import { RrbackupError } from '../../errors/index.js';
import { checkRange, checkSize, exists, missing, mostOf, shortBody, transient } from '../failures.js';
import { checkKey, checkPrefix } from '../key.js';
import { probe } from '../probe.js';
import {
  type ByteRange,
  type Call,
  type GetOptions,
  type ObjectStore,
  type StoredObject,
  unversioned,
} from '../types.js';
import type { S3Configuration } from './address.js';
import { readBody } from './body.js';
import { S3Connection, type S3StoreOptions } from './connection.js';
import { factsOf } from './failure.js';
import { listCommonPrefixes, listVersions } from './listing.js';
import {
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from './sdk.js';

interface Written {
  readonly versionId: string;
}

export class S3Store implements ObjectStore {
  conditionalCreate = true;
  readonly #connection: S3Connection;
  readonly #storageClass: string | undefined;

  constructor(configuration: S3Configuration, options: S3StoreOptions = {}) {
    this.#connection = new S3Connection(configuration, options);
    this.#storageClass = configuration.storageClass;
  }

  get location(): string {
    return this.#connection.location;
  }

  async prepare(options: Call & { note(message: string): void }): Promise<void> {
    if (await this.#isVersioned(options)) return;
    const { bucket } = this.#connection;
    const command = new PutBucketVersioningCommand({
      Bucket: bucket,
      VersioningConfiguration: { Status: 'Enabled' },
    });
    await this.#connection.send('enabling versioning (s3:PutBucketVersioning)', options, (client, sending) =>
      client.send(command, sending),
    );
    if (!(await this.#isVersioned(options))) throw this.#connection.notS3();
    options.note(
      `versioning was off for the bucket ${bucket}; it is on now, because the history rests on it`,
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
    if (range?.length !== 0) return (await this.#read(key, options)).bytes;
    // HTTP has no range of no bytes.
    const object = await this.stat(key, options);
    if (object === undefined) throw missing(this.location, key, options.versionId);
    checkRange(this.location, key, range, object.size_bytes);
    return Buffer.alloc(0);
  }

  async stat(key: string, options: Call & { versionId?: string } = {}): Promise<StoredObject | undefined> {
    checkKey(key);
    const command = new HeadObjectCommand(this.#address(key, options.versionId));
    try {
      const head = await this.#connection.send(key, options, (client, sending) =>
        client.send(command, sending),
      );
      if (head.ContentLength === undefined) throw this.#connection.notS3();
      return {
        key,
        versionId: head.VersionId ?? unversioned,
        size_bytes: head.ContentLength,
        modified_ms: head.LastModified?.getTime() ?? 0,
      };
    } catch (error) {
      // An answer to a HEAD has no body and so gives no reason; the answer to a GET does.
      if (statusOf(error) !== 0 && (await this.#isMissing(key, options))) return undefined;
      throw error;
    }
  }

  async *list(prefix: string, options: Call & { after?: string } = {}): AsyncIterable<StoredObject> {
    checkPrefix(prefix);
    yield* listVersions(this.#connection, prefix, options);
  }

  async listPrefixes(prefix: string, call: Call = {}): Promise<string[]> {
    checkPrefix(prefix);
    return listCommonPrefixes(this.#connection, prefix, call);
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
    const command = new DeleteObjectCommand(this.#address(key, versionId));
    try {
      await this.#connection.send(`removing ${key} (s3:DeleteObjectVersion)`, call, (client, sending) =>
        client.send(command, sending),
      );
    } catch (error) {
      if (!meansMissing(error, versionId)) throw error;
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
    this.#connection.client.destroy();
  }

  async #isVersioned(call: Call): Promise<boolean> {
    const command = new GetBucketVersioningCommand({ Bucket: this.#connection.bucket });
    const what = 'reading whether versioning is on (s3:GetBucketVersioning)';
    const { Status } = await this.#connection.send(what, call, (client, sending) =>
      client.send(command, sending),
    );
    return Status === 'Enabled';
  }

  async #put(key: string, bytes: Uint8Array, call: Call, condition: { IfNoneMatch?: '*' }): Promise<Written> {
    checkKey(key);
    const { isAws, server } = this.#connection;
    const command = new PutObjectCommand({
      ...this.#address(key, undefined),
      Body: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      ...(isAws ? { ChecksumAlgorithm: 'SHA256' } : {}),
      ...(this.#storageClass === undefined || !key.startsWith('packs/')
        ? {}
        : { StorageClass: this.#storageClass as 'STANDARD' }),
      ...condition,
    });
    const answer = await this.#connection.send(`storing ${key} (s3:PutObject)`, call, (client, sending) =>
      client.send(command, sending),
    );
    if (answer.ETag === undefined) throw transient(`${server} did not confirm that it stored ${key}`);
    return { versionId: answer.VersionId ?? unversioned };
  }

  /** After 412, 409 and every failure that may have been a success, what is there decides. */
  async #createNew(key: string, bytes: Uint8Array, call: Call): Promise<Written> {
    try {
      return await this.#put(key, bytes, call, { IfNoneMatch: '*' });
    } catch (error) {
      const isTaken = statusOf(error) === 412;
      const isUnclear = error instanceof RrbackupError && error.code === 'store.transient';
      if (!isTaken && !isUnclear) throw error;
      const present = await this.#readIfThere(key, call);
      if (present !== undefined) {
        if (!present.bytes.equals(bytes)) throw exists(this.location, key);
        return { versionId: present.versionId };
      }
      throw isTaken ? transient(`${key} was there and is gone again in ${this.location}`, error) : error;
    }
  }

  async #readIfThere(
    key: string,
    options: GetOptions,
  ): Promise<{ bytes: Buffer; versionId: string } | undefined> {
    try {
      return await this.#read(key, options);
    } catch (error) {
      if (error instanceof RrbackupError && error.code === 'store.missing') return undefined;
      throw error;
    }
  }

  /** Throws the reason when it is another one. */
  async #isMissing(key: string, options: Call & { versionId?: string }): Promise<boolean> {
    try {
      return (await this.#readIfThere(key, { ...options, range: { offset: 0, length: 1 } })) === undefined;
    } catch (error) {
      if (error instanceof RrbackupError && error.code === 'store.short_body') return false;
      throw error;
    }
  }

  async #read(key: string, options: GetOptions): Promise<{ bytes: Buffer; versionId: string }> {
    checkKey(key);
    const { range, signal, versionId } = options;
    const most_bytes = mostOf(options);
    const command = new GetObjectCommand({
      ...this.#address(key, versionId),
      ...(range === undefined ? {} : { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` }),
    });
    let answer;
    try {
      answer = await this.#connection.send(
        `reading ${key} (s3:GetObject, s3:GetObjectVersion)`,
        options,
        (client, sending) => client.send(command, sending),
      );
    } catch (error) {
      if (meansMissing(error, versionId)) throw missing(this.location, key, versionId);
      throw statusOf(error) === 416 && range !== undefined
        ? shortBody(this.location, key, range.length, 0)
        : error;
    }
    const stream = answer.Body as Readable | undefined;
    // A web console or a captive portal has a page for every address, and neither of these.
    if (answer.$metadata.requestId === undefined && answer.ETag === undefined) {
      stream?.destroy();
      throw this.#connection.notS3();
    }
    if (stream === undefined) throw transient(`${this.location} answered without the bytes of ${key}`);
    if (range !== undefined && !isAbout(range, answer.ContentRange)) {
      stream.destroy();
      throw shortBody(this.location, key, range.length, answer.ContentLength ?? 0);
    }
    const expected_bytes = range?.length ?? answer.ContentLength;
    if (most_bytes !== undefined && (expected_bytes ?? 0) > most_bytes) stream.destroy();
    checkSize(this.location, key, expected_bytes ?? 0, most_bytes);
    const bytes = await readBody(stream, {
      location: this.location,
      key,
      expected_bytes,
      most_bytes,
      idle_ms: this.#connection.idle_ms,
      signal,
    });
    return { bytes, versionId: answer.VersionId ?? unversioned };
  }

  #address(key: string, versionId: string | undefined): { Bucket: string; Key: string; VersionId?: string } {
    return {
      Bucket: this.#connection.bucket,
      Key: this.#connection.prefix + key,
      ...(versionId === undefined || versionId === '' ? {} : { VersionId: versionId }),
    };
  }
}

/** The HTTP status behind an error, 0 where there was no answer. */
function statusOf(error: unknown): number {
  return error instanceof RrbackupError ? factsOf(error.cause).status : 0;
}

/** True if the answer gives exactly the range that was asked for, not less and not the whole object. */
function isAbout(range: ByteRange, contentRange: string | undefined): boolean {
  return contentRange?.startsWith(`bytes ${range.offset}-${range.offset + range.length - 1}/`) === true;
}

/** No such key or version. AWS calls a version id that it never gave out an invalid argument, and a marker 405. */
function meansMissing(error: unknown, versionId: string | undefined): boolean {
  if (!(error instanceof RrbackupError)) return false;
  const { code, status } = factsOf(error.cause);
  if (code === 'NoSuchKey' || code === 'NoSuchVersion') return true;
  return versionId !== undefined && versionId !== '' && (status === 405 || code === 'InvalidArgument');
}
