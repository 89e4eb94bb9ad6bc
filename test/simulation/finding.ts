// What a simulation exists to find.

/** Something that must not happen; its message says what, its cause how it came out. */
export class Finding extends Error {
  /** The calls that led there. */
  trace: readonly string[] = [];

  constructor(message: string, cause?: unknown) {
    super(message, { cause });
  }
}
