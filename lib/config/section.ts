// One section of the file as typed values. Every wrong value is an error that names file, line and key; nothing is guessed.

import { isAbsolute, join, resolve } from 'node:path';
import { parseSize } from '../bytes/size.js';
import { RrbackupError } from '../errors/index.js';
import { keyInWords, type IniEntry, type IniSection } from './ini.js';
import { nearest } from './nearest.js';

/** Where paths in the file are counted from. */
export interface PathBase {
  /** The directory of the configuration file. */
  readonly directory: string;
  readonly home: string;
}

// As Python's ConfigParser.getboolean.
const booleans = new Map([
  ...['1', 'yes', 'true', 'on'].map((word) => [word, true] as const),
  ...['0', 'no', 'false', 'off'].map((word) => [word, false] as const),
]);

export class Section {
  readonly name: string;
  readonly #file: string;
  readonly #line: number;
  readonly #base: PathBase;
  readonly #entries: ReadonlyMap<string, IniEntry>;

  /** `known`: the keys that this section takes; `elsewhere`: keys of other sections, to say where one belongs. */
  constructor(
    file: string,
    section: IniSection,
    base: PathBase,
    known: readonly string[],
    elsewhere: ReadonlyMap<string, string>,
  ) {
    this.name = section.name;
    this.#file = file;
    this.#line = section.line;
    this.#base = base;
    this.#entries = new Map(section.entries.map((entry) => [entry.key, entry]));
    for (const entry of section.entries) {
      if (known.includes(entry.key)) continue;
      const home = elsewhere.get(entry.key);
      throw new RrbackupError({
        code: 'config.unknown_key',
        kind: 'usage',
        message: `${file}, line ${entry.line}: unknown key${keyInWords(entry.key)} in [${section.name}]`,
        guidance:
          home === undefined
            ? `the nearest right one is '${nearest(entry.key, known)}'; [${section.name}] takes ${known.join(', ')}`
            : `'${entry.key}' belongs in ${home}`,
      });
    }
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** An error about a key that stands in the section, or about the section where it does not. */
  wrong(key: string, message: string, guidance: string): RrbackupError {
    return new RrbackupError({
      code: 'config.wrong_value',
      kind: 'usage',
      message: `${this.#file}, line ${this.#entries.get(key)?.line ?? this.#line}: ${message}`,
      guidance,
    });
  }

  /** The value in one line, as it stands; undefined where the key is not given. */
  text(key: string): string | undefined {
    const value = this.#entries.get(key)?.value;
    if (value === undefined) return undefined;
    if (value === '') throw this.wrong(key, `'${key}' is empty`, `give it a value or remove the line`);
    if (value.includes('\n'))
      throw this.wrong(
        key,
        `'${key}' goes on in the next line, which is indented deeper`,
        'a value like this takes one line: begin the next key in the same column',
      );
    if (value.includes('\0')) throw this.wrong(key, `'${key}' contains a NUL byte`, 'write the value again');
    return value;
  }

  required(key: string): string {
    const value = this.text(key);
    if (value !== undefined) return value;
    throw new RrbackupError({
      code: 'config.missing_key',
      kind: 'usage',
      message: `${this.#file}: [${this.name}] has no '${key}'`,
      guidance: `add a line '${key} = …' below line ${this.#line}`,
    });
  }

  boolean(key: string): boolean | undefined {
    const value = this.text(key);
    if (value === undefined) return undefined;
    const known = booleans.get(value.toLowerCase());
    if (known === undefined)
      throw this.wrong(
        key,
        `'${key}' is '${value}', which is neither yes nor no`,
        'write yes, no, true, false, on, off, 1 or 0',
      );
    return known;
  }

  /** Bytes, written as 500M or 2G. */
  size(key: string): number | undefined {
    const value = this.text(key);
    if (value === undefined) return undefined;
    const size_bytes = parseSize(value);
    if (size_bytes === undefined)
      throw this.wrong(
        key,
        `'${key}' is '${value}', which is no size`,
        "write a number with K, M, G or T behind it, as in '500M' or '2G'",
      );
    return size_bytes;
  }

  /** Lines of a value that may go over several, without the empty ones. */
  lines(key: string): string[] {
    return (this.#entries.get(key)?.value ?? '')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
  }

  /** An absolute, normalised path: '~' is the home directory, anything relative counts from the file's directory. */
  path(key: string): string | undefined {
    const value = this.text(key);
    return value === undefined ? undefined : this.#resolve(key, value);
  }

  paths(key: string): string[] {
    return this.lines(key).map((line) => this.#resolve(key, line));
  }

  #resolve(key: string, value: string): string {
    if (/^(["']).*\1$/.test(value))
      throw this.wrong(key, `'${key}' stands in quotes`, 'values are taken as they stand: remove the quotes');
    if (value === '~' || value.startsWith('~/')) return join(this.#base.home, value.slice(1));
    if (value.startsWith('~'))
      throw this.wrong(
        key,
        `'${key}' begins with '${value.split('/')[0]!}'`,
        "only '~' alone stands for a home directory, yours: write the path in full",
      );
    return isAbsolute(value) ? resolve(value) : resolve(this.#base.directory, value);
  }
}
