// Every failure that a user can meet. A message says what happened and to what, the guidance what to do now; code that
// handles errors goes by `code`, never by text. Errors cross worker ports with their class (toPlain, fromPlain).

export const exitStatus = {
  failure: 1,
  usage: 2,
  incomplete: 3,
  commit_locked: 4,
  no_repository: 10,
  busy: 11,
  wrong_password: 12,
  damaged: 13,
  not_found: 14,
  store: 15,
  newer_format: 16,
  tampered: 17,
  interrupted: 130,
} as const;

/** What kind of failure it is; each kind has an exit status of its own, documented in the README. */
export type ErrorKind = keyof typeof exitStatus;

export interface ErrorOptions {
  /** Stable, for programs: 'config.unknown_key', 'store.no_bucket', … */
  readonly code: string;
  readonly kind: ErrorKind;
  /** What happened, to what. One sentence, no full stop, already safe to print. */
  readonly message: string;
  /** What to do now. One sentence, no full stop. */
  readonly guidance?: string;
  readonly cause?: unknown;
}

export interface PlainError {
  readonly rrbackup: true;
  readonly code: string;
  readonly kind: ErrorKind;
  readonly message: string;
  readonly guidance?: string;
  readonly stack?: string;
}

export class RrbackupError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly guidance?: string;

  constructor(options: ErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RrbackupError';
    this.code = options.code;
    this.kind = options.kind;
    if (options.guidance !== undefined) this.guidance = options.guidance;
  }

  get exitStatus(): number {
    return exitStatus[this.kind];
  }

  /** A structured-clone-safe form, for a message port. */
  toPlain(): PlainError {
    return {
      rrbackup: true,
      code: this.code,
      kind: this.kind,
      message: this.message,
      ...(this.guidance === undefined ? {} : { guidance: this.guidance }),
      ...(this.stack === undefined ? {} : { stack: this.stack }),
    };
  }

  static fromPlain(plain: PlainError): RrbackupError {
    const error = new RrbackupError(plain);
    if (plain.stack !== undefined) error.stack = plain.stack;
    return error;
  }
}

/** Also as a library says it, and as it was said by us in another thread. */
const tooManyCodes = new Set<unknown>(['EMFILE', 'ENFILE', 24, 23, 'files.too_many']);

/** Any thrown value as an RrbackupError, keeping one that already is. */
export function toRrbackupError(error: unknown): RrbackupError {
  if (error instanceof RrbackupError) return error;
  if (error instanceof Error && 'code' in error && tooManyCodes.has(error.code)) return tooManyFiles(error);
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'internal';
  return new RrbackupError({ code, kind: 'failure', message, cause: error });
}

function tooManyFiles(cause: unknown): RrbackupError {
  return new RrbackupError({
    code: 'files.too_many',
    kind: 'failure',
    message: 'too few files may be open at once for this command',
    guidance: 'allow more (ulimit -n 1024, or LimitNOFILE in a unit of systemd) and run it again',
    cause,
  });
}

/** A stored object or a local file that does not decode: never returned as data. */
export function damaged(code: string, message: string, cause?: unknown): RrbackupError {
  return new RrbackupError({ code, kind: 'damaged', message, cause });
}

/** Something written by a version of the program that knows more than this one. */
export function newerFormat(what: string): RrbackupError {
  return new RrbackupError({
    code: 'format.newer',
    kind: 'newer_format',
    message: `${what} was made by a newer rrbackup`,
    guidance: 'update rrbackup on this machine and run the command again',
  });
}

/** The user or a signal asked to stop. */
export function interrupted(): RrbackupError {
  return new RrbackupError({ code: 'interrupted', kind: 'interrupted', message: 'interrupted' });
}
