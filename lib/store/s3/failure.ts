// What went wrong between here and an S3 server, in words and with a way out. Goes by error codes, HTTP statuses and errnos,
// never by text; tells no secrets.

import { interrupted, RrbackupError } from '../../errors/index.js';
import { transient } from '../failures.js';

/** What the messages need to know of a store. */
export interface Place {
  readonly location: string;
  readonly bucket: string;
  /** 'AWS in eu-central-1' or the endpoint's URL. */
  readonly server: string;
  /** True once the server has given a proper answer: then a connection that fails is a passing thing. */
  readonly hasAnswered: boolean;
  readonly now_ms: number;
}

/** What of an SDK error tells errors apart. */
export interface S3ErrorFacts {
  /** S3's error code ('NoSuchKey'), or '' where the answer carried none. */
  readonly code: string;
  /** HTTP status, or 0 where there was no answer. */
  readonly status: number;
  /** node's errno ('ECONNREFUSED'), or ''. */
  readonly errno: string;
  readonly headers: Readonly<Record<string, string>>;
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function factsOf(error: unknown): S3ErrorFacts {
  const response = field(error, '$response');
  const status = field(field(error, '$metadata'), 'httpStatusCode') ?? field(response, 'statusCode');
  const headers = field(response, 'headers');
  return {
    // `Code` is what the body said; `name` is what the SDK made of it.
    code: text(field(error, 'Code')),
    status: typeof status === 'number' ? status : 0,
    errno: text(field(error, 'code')),
    headers: typeof headers === 'object' && headers !== null ? (headers as Record<string, string>) : {},
  };
}

const passingErrnos = new Set([
  'EAI_AGAIN',
  'EPIPE',
  'ECONNRESET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
]);
const unreachableErrnos = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EHOSTDOWN', 'EADDRNOTAVAIL']);
const passingCodes = new Set([
  'BadDigest',
  'ConditionalRequestConflict',
  'IncompleteBody',
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'XAmzContentChecksumMismatch',
  'XAmzContentSHA256Mismatch',
]);
const expiredCodes = new Set([
  'ExpiredToken',
  'ExpiredTokenException',
  'TokenRefreshRequired',
  'InvalidToken',
]);
const fullCodes = new Set([
  'QuotaExceeded',
  'XMinioStorageFull',
  'InsufficientStorage',
  'InsufficientCapacity',
]);
const regionCodes = new Set([
  'PermanentRedirect',
  'TemporaryRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
]);

/** Errors of the TLS layer: another certificate than expected, or no TLS at all on that port. */
function isTls(errno: string): boolean {
  return (
    errno === 'EPROTO' ||
    errno.startsWith('ERR_TLS_') ||
    errno.startsWith('ERR_SSL_') ||
    errno.includes('CERT') ||
    errno === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
  );
}

function storeError(code: string, message: string, guidance: string, cause: unknown): RrbackupError {
  return new RrbackupError({ code, kind: 'store', message, guidance, cause });
}

/** The error for a failed request about `what` ('packs/…' or 'the bucket'); an RrbackupError passes through. */
export function s3Failure(place: Place, what: string, error: unknown): RrbackupError {
  if (error instanceof RrbackupError) return error;
  if (field(error, 'name') === 'AbortError') return interrupted();
  const facts = factsOf(error);
  // Also while an answer's body was read, when there is a status already.
  if (passingErrnos.has(facts.errno) || field(error, 'name') === 'TimeoutError') {
    const why = facts.errno === '' ? 'timeout' : facts.errno;
    return transient(`the connection to ${place.server} broke off at ${what} (${why})`, error);
  }
  if (facts.status === 0) return withoutAnswer(place, what, error, facts);
  return withAnswer(place, what, error, facts);
}

function withoutAnswer(place: Place, what: string, error: unknown, { errno }: S3ErrorFacts): RrbackupError {
  const name = text(field(error, 'name'));
  if (errno === 'ENOTFOUND' || unreachableErrnos.has(errno) || errno === 'ECONNREFUSED') {
    const why =
      errno === 'ENOTFOUND'
        ? `the name of ${place.server} cannot be resolved`
        : errno === 'ECONNREFUSED'
          ? `nothing listens at ${place.server}`
          : `${place.server} cannot be reached (${errno})`;
    if (place.hasAnswered) return transient(`${place.location} is gone for now: ${why}`, error);
    return storeError(
      'store.no_network',
      why,
      'check the network connection and the endpoint in the configuration',
      error,
    );
  }
  if (isTls(errno)) {
    return storeError(
      'store.wrong_endpoint',
      `no trusted connection to ${place.server} (${errno})`,
      'check http or https in the endpoint; for a certificate authority of your own set NODE_EXTRA_CA_CERTS to its file',
      error,
    );
  }
  if (name === 'CredentialsProviderError') {
    return storeError(
      'store.wrong_keys',
      `no access key for ${place.location}`,
      'put access_key and secret_key into the configuration, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
      error,
    );
  }
  if (errno.startsWith('HPE_')) return notS3(place, error);
  return storeError(
    'store.failed',
    `${place.location} failed at ${what}${errno === '' ? '' : ` (${errno})`}`,
    'check the store section of the configuration',
    error,
  );
}

/** Also for a 200 that does not say what its operation must say. */
export function notS3(place: Place, error?: unknown): RrbackupError {
  // It was one a moment ago: a proxy or a captive portal has stepped in.
  if (place.hasAnswered)
    return transient(`${place.server} gave an answer that is none of an S3 server`, error);
  return storeError(
    'store.wrong_endpoint',
    `what answers at ${place.server} is not an S3 server`,
    'check the endpoint in the configuration: it is the address of the S3 interface, not of a web console',
    error,
  );
}

/** How far the clocks are apart, from the answer's Date header. */
function skew(place: Place, headers: Readonly<Record<string, string>>): string {
  const server_ms = Date.parse(headers['date'] ?? '');
  if (Number.isNaN(server_ms)) return 'wrong';
  const minutes = Math.round(Math.abs(place.now_ms - server_ms) / 60_000);
  return `${minutes} minutes ${place.now_ms > server_ms ? 'ahead' : 'behind'}`;
}

function withAnswer(place: Place, what: string, error: unknown, facts: S3ErrorFacts): RrbackupError {
  const { code, status, headers } = facts;
  if (code === 'NoSuchBucket') return noBucket(place, error);
  if (code === 'InvalidAccessKeyId') {
    return storeError(
      'store.wrong_keys',
      `${place.server} does not know the access key`,
      'check access_key in the configuration, and that the key belongs to this server',
      error,
    );
  }
  if (code === 'SignatureDoesNotMatch') {
    return storeError(
      'store.wrong_keys',
      `the secret key does not fit the access key for ${place.location}`,
      'check secret_key in the configuration',
      error,
    );
  }
  if (expiredCodes.has(code)) {
    return storeError(
      'store.wrong_keys',
      `the keys for ${place.location} have expired`,
      'renew them and run again',
      error,
    );
  }
  if (code === 'RequestTimeTooSkewed' || code === 'RequestExpired') {
    return storeError(
      'store.clock_skew',
      `the clock of this machine is ${skew(place, headers)}, by the clock of ${place.server}`,
      'set the clock, for example with systemd-timesyncd or chrony, and run again',
      error,
    );
  }
  if (regionCodes.has(code) || status === 301 || status === 307 || status === 308) {
    const region = headers['x-amz-bucket-region'];
    return storeError(
      'store.wrong_endpoint',
      `the bucket ${place.bucket} is not at ${place.server}${region === undefined ? '' : ` but in the region ${region}`}`,
      `set region${region === undefined ? '' : ` = ${region}`} in the configuration, and an endpoint of that region`,
      error,
    );
  }
  if (fullCodes.has(code) || status === 507) {
    return storeError(
      'store.full',
      `${place.location} is full`,
      'make room or have the quota raised, then run again',
      error,
    );
  }
  if (passingCodes.has(code) || status >= 500 || status === 408 || status === 429) {
    if (status === 501) return refused(place, what, error, code, status);
    return transient(
      `${place.server} was too busy or broke off at ${what} (${code === '' ? status : code})`,
      error,
    );
  }
  if (code === 'AccessDenied' || code === 'AllAccessDisabled' || status === 403 || status === 401) {
    return storeError(
      'store.denied',
      `the access key may not do this in ${place.location}: ${what}`,
      'give the key the permissions that the README lists',
      error,
    );
  }
  if (code === '') return notS3(place, error);
  return refused(place, what, error, code, status);
}

function refused(place: Place, what: string, error: unknown, code: string, status: number): RrbackupError {
  return storeError(
    'store.failed',
    `${place.server} refused ${what} (${code === '' ? status : code})`,
    'check the store section of the configuration; not every S3 server can do everything that rrbackup needs',
    error,
  );
}

export function noBucket(place: Place, cause?: unknown): RrbackupError {
  return storeError(
    'store.no_bucket',
    `the bucket ${place.bucket} does not exist at ${place.server}`,
    'create it, then run again',
    cause,
  );
}
