// The contract of every object store. A store passes test/contract/ or is not one. Wrappers (retry, limit, faults) implement
// the same contract around another store, one concern each.

/** The version that S3 gives an object while a bucket's versioning is off: unlike any other it can be overwritten. */
export const unversioned = 'null';

/** Whether the bytes behind this version id are the same for ever. */
export const isExactVersion = (versionId: string): boolean => versionId !== '' && versionId !== unversioned;

/** One stored version of one object. `versionId` is '' where the store keeps no versions (a directory). */
export interface StoredObject {
  readonly key: string;
  readonly versionId: string;
  readonly size_bytes: number;
  /** The store's own clock; for grace periods and for people, never for deciding what is true. */
  readonly modified_ms: number;
}

/** More than any object has that rrbackup stores. */
export const largestObject_bytes = 112 * 1024 * 1024;

/** Objects in one listing: those of a repository of some forty terabytes. A store that lists more may never end. */
export const mostListed = 2_000_000;

/** Stored versions of one object: more than anybody has by chance. */
export const mostVersions = 20_000;

export interface Call {
  readonly signal?: AbortSignal;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface GetOptions extends Call {
  /**
   * Exactly this version, whatever was written or delete-marked over it since. Without, or '': the newest. A directory
   * ignores it, so that a copy of a bucket in a directory reads like the bucket.
   */
  readonly versionId?: string;
  readonly range?: ByteRange;
  /**
   * Of the whole object: one that has more is not read, whatever the store sends, but 'store.too_large'. Without a range at
   * the most `largestObject_bytes`.
   */
  readonly most_bytes?: number;
}

/**
 * Keys are ASCII paths without a leading slash. Bytes given to a store may not change until the call has settled; bytes
 * returned belong to the caller. Every error is an RrbackupError:
 *   'store.missing'    (kind not_found)  no such object or version; final
 *   'store.exists'     (kind failure)    `create` found the key taken by other bytes; final
 *   'store.too_large'  (kind damaged)  more bytes than the caller has use for; final
 *   'store.short_body' (kind store)      fewer or more bytes than promised; worth a retry, over a network
 *   'store.truncated'  (kind damaged)  short in the same way however often it was asked for (from RetryStore); final
 *   'store.transient'  (kind store)      timeout, reset, 5xx, throttling; worth a retry
 *   'store.denied', 'store.no_bucket', 'store.no_network', 'store.wrong_endpoint', 'store.clock_skew', 'store.wrong_keys',
 *   'store.full', 'store.read_only', 'store.failed' (kind store), and
 *   'store.symlink', 'store.exchanged' (kind store)   somebody else is at work in a directory store, and
 *   'store.too_many' (kind store)   a listing without an end   final, each with its own sentence and way out
 * An aborted signal rejects with code 'interrupted'.
 */
export interface ObjectStore {
  /** For people and for recognising the place again: 's3://bucket/prefix (endpoint)', 'directory /path'. No secrets. */
  readonly location: string;

  /**
   * Makes the store ready or says in words why it cannot be: S3 checks the bucket and enables versioning where it is off
   * (reported through `note`), a directory store makes its directory. Idempotent.
   */
  prepare(options: Call & { note(message: string): void }): Promise<void>;

  /** Stores bytes durably; overwrites (S3: a new version). Idempotent, safe to retry. */
  put(key: string, bytes: Uint8Array, call?: Call): Promise<{ versionId: string }>;

  /**
   * Stores bytes only if no object stands at the key ('store.exists' otherwise). When the answer was lost it reads back:
   * our own bytes already there count as success. On a store whose `conditionalCreate` is false this is a plain `put`.
   */
  create(key: string, bytes: Uint8Array, call?: Call): Promise<{ versionId: string }>;

  /** The bytes of the object or of the range. A range past the end is 'store.short_body'. */
  get(key: string, options?: GetOptions): Promise<Buffer>;

  /** Size and version of the newest version (or of the one named); undefined if there is none. */
  stat(key: string, options?: Call & { versionId?: string }): Promise<StoredObject | undefined>;

  /**
   * Every version of every object whose key begins with `prefix`, in key order (versions of a key in no promised order),
   * keys greater than `after` only. Objects hidden behind a delete marker are listed too; the markers are not.
   */
  list(prefix: string, options?: Call & { after?: string }): AsyncIterable<StoredObject>;

  /**
   * The distinct next path components below `prefix` (which ends in '/') that have objects below them, without slash,
   * sorted; what is hidden behind delete markers counts.
   */
  listPrefixes(prefix: string, call?: Call): Promise<string[]>;

  /** Deletes exactly one version; a version that is already gone is fine. */
  remove(key: string, versionId: string, call?: Call): Promise<void>;

  /**
   * Tries `create` twice in sequence and in a race on a scratch key and removes what it wrote: true only if exactly one
   * writer ever won. Asked once, at init; the answer lives in the repository's descriptor.
   */
  probeConditionalCreate(call?: Call): Promise<boolean>;

  /** What `create` may rely on; set from the descriptor when a repository is opened. Default true. */
  conditionalCreate: boolean;

  close(): Promise<void>;
}

/** Which store to open; a configuration file becomes this in lib/config. */
export type StoreConfiguration =
  | {
      readonly kind: 's3';
      readonly bucket: string;
      readonly prefix: string;
      readonly endpoint?: string;
      readonly region?: string;
      readonly pathStyle?: boolean;
      readonly storageClass?: string;
      /** Without keys the AWS SDK's default credential chain. */
      readonly accessKey?: string;
      readonly secretKey?: string;
    }
  | { readonly kind: 'directory'; readonly path: string };
