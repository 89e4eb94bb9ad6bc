// Reads the two small JSON objects of a repository strictly: what is malformed is damaged, what is unknown was made by a
// newer rrbackup. Nothing in them is believed before it has been authenticated.

import { newerFormat, RrbackupError } from '../errors/index.js';

/** Both kinds of object have a few hundred bytes. */
export const maximumJson_bytes = 16 * 1024;

export class JsonFields {
  readonly #what: string;
  readonly #guidance: string;
  readonly #fields: Record<string, unknown>;

  /** `what` names the thing being read, for error messages; `guidance` says what to do where it is damaged. */
  constructor(fields: unknown, what: string, guidance: string) {
    this.#what = what;
    this.#guidance = guidance;
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields))
      throw this.fail('it is not an object');
    this.#fields = fields as Record<string, unknown>;
  }

  static parse(bytes: Uint8Array, what: string, guidance: string): JsonFields {
    if (bytes.length > maximumJson_bytes)
      throw damagedJson(what, `it has more than ${maximumJson_bytes} bytes`, guidance);
    let parsed: unknown;
    try {
      parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (error) {
      throw damagedJson(what, 'it is not JSON', guidance, error);
    }
    return new JsonFields(parsed, what, guidance);
  }

  fail(why: string): Error {
    return damagedJson(this.#what, why, this.#guidance);
  }

  /** Throws unless `format` and `version` are these; a greater version is a newer format. */
  expectFormat(format: string, version: number): void {
    if (this.#fields['format'] !== format) throw this.fail(`its format is not ${format}`);
    const found = this.integer('version', 1, Number.MAX_SAFE_INTEGER);
    if (found > version) throw newerFormat(this.#what);
  }

  /** Throws newerFormat for any field but these. */
  expectOnly(names: readonly string[]): void {
    if (Object.keys(this.#fields).some((name) => !names.includes(name))) throw newerFormat(this.#what);
  }

  text(name: string, pattern: RegExp): string {
    const value = this.#own(name);
    if (typeof value !== 'string' || !pattern.test(value))
      throw this.fail(`${name} is not what it should be`);
    return value;
  }

  /** One of `known`; any other text is a newer format. */
  choice<Choice extends string>(name: string, known: readonly Choice[]): Choice {
    const value = this.text(name, /^/);
    const choice = known.find((each) => each === value);
    if (choice === undefined) throw newerFormat(this.#what);
    return choice;
  }

  integer(name: string, minimum: number, maximum: number): number {
    const value = this.#own(name);
    if (!Number.isSafeInteger(value) || (value as number) < minimum || (value as number) > maximum)
      throw this.fail(`${name} is not what it should be`);
    return value as number;
  }

  boolean(name: string): boolean {
    const value = this.#own(name);
    if (typeof value !== 'boolean') throw this.fail(`${name} is not what it should be`);
    return value;
  }

  object(name: string): JsonFields {
    return new JsonFields(this.#own(name), this.#what, this.#guidance);
  }

  /** Exactly `size` bytes, in base64. */
  base64(name: string, size: number): Buffer {
    const text = this.text(name, /^[A-Za-z0-9+/]*={0,2}$/);
    const bytes = Buffer.from(text, 'base64');
    if (bytes.length !== size || bytes.toString('base64') !== text)
      throw this.fail(`${name} is not what it should be`);
    return bytes;
  }

  #own(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
  }
}

export const repositoryIdPattern = /^[0-9a-f]{32}$/;

/** ISO 8601 in UTC, to the second or finer. For people only. */
export const timePattern = /^\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

function damagedJson(what: string, why: string, guidance: string, cause?: unknown): RrbackupError {
  const message = `${what} is damaged: ${why}`;
  return new RrbackupError({ code: 'keys.damaged', kind: 'damaged', message, guidance, cause });
}
