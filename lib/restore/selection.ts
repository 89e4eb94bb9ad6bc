// What of a version was asked for: paths and glob patterns, relative to the source or absolute below it. Pure; a path that
// means nothing in this version is an error before anything is written.

import picomatch from 'picomatch';
import { printable, splitPath } from '../bytes/path.js';
import type { CatalogReader } from '../catalog/types.js';
import { RrbackupError } from '../errors/index.js';

export interface Selection {
  readonly isEverything: boolean;
  /** Whether this entry was asked for, with everything below it. */
  matches(path: Buffer): boolean;
  /** Whether something below this directory may have been asked for. */
  mayHold(path: Buffer): boolean;
  /** Patterns that have matched nothing so far, as they were given. */
  unmatched(): string[];
}

export interface SelectionOptions {
  readonly catalog: Pick<CatalogReader, 'find'>;
  readonly stream: string;
  readonly sequence: number;
  /** Absolute path that the source had when it was backed up. */
  readonly sourcePath: Uint8Array;
}

const everything: Selection = {
  isEverything: true,
  matches: () => true,
  mayHold: () => true,
  unmatched: () => [],
};

interface Pattern {
  readonly given: string;
  matches(text: string): boolean;
  /** Directories above the first component with a wildcard. */
  readonly base: string;
  hasMatched: boolean;
}

/**
 * Without paths everything. A path that stands in the version means just that, whatever characters it has; others are glob
 * patterns (`*` within a name, `**` across directories, `?`, `[…]`, `{a,b}`; names that begin with a dot are like others).
 * Throws kind not_found for a path that is neither, kind usage for one that leads out of the source.
 */
export function select(paths: readonly (string | Uint8Array)[], options: SelectionOptions): Selection {
  const literals = new Set<string>();
  const above = new Set<string>();
  const patterns: Pattern[] = [];
  for (const path of paths) {
    const given = Buffer.from(path as Uint8Array);
    const names = relativeNames(given, options.sourcePath);
    if (names.length === 0) return everything;
    const relative = Buffer.from(names.map(keyOf).join('/'), 'latin1');
    if (options.catalog.find(options.stream, options.sequence, relative) !== undefined) {
      literals.add(keyOf(relative));
      for (let length = 0; length < names.length; length++)
        above.add(names.slice(0, length).map(keyOf).join('/'));
    } else if (picomatch.scan(pathText(relative)).isGlob)
      patterns.push(toPattern(printable(given), relative));
    else throw notFound([printable(given)], options.sequence);
  }
  if (paths.length === 0) return everything;
  return {
    isEverything: false,
    matches: (path) => {
      const isNamed = literals.has(keyOf(path));
      if (patterns.length === 0) return isNamed;
      const text = pathText(path);
      // Every pattern is asked, so that each knows whether it has matched.
      return patterns.filter((pattern) => pattern.matches(text)).length > 0 || isNamed;
    },
    mayHold: (path) => {
      if (above.has(keyOf(path))) return true;
      const text = pathText(path);
      return patterns.some(({ base }) => isWithin(text, base) || isWithin(base, text));
    },
    unmatched: () => patterns.filter(({ hasMatched }) => !hasMatched).map(({ given }) => given),
  };
}

export function notFound(paths: readonly string[], sequence: number): RrbackupError {
  const [first] = paths;
  const more = paths.length > 1 ? ` (and ${paths.length - 1} more)` : '';
  return new RrbackupError({
    code: 'restore.path_not_found',
    kind: 'not_found',
    message: `version ${sequence} has nothing at ${first}${more}`,
    guidance: `see what it has with: rrbackup files ${sequence}`,
  });
}

function relativeNames(path: Buffer, sourcePath: Uint8Array): Buffer[] {
  const names = splitPath(path).filter((name) => !name.equals(Buffer.from('.')));
  const isAbsolute = path[0] === 0x2f;
  const source = splitPath(sourcePath);
  const isInside = !isAbsolute || source.every((name, index) => names[index]?.equals(name));
  if (!isInside || names.some((name) => name.equals(Buffer.from('..'))))
    throw new RrbackupError({
      code: 'restore.path_outside',
      kind: 'usage',
      message: `${printable(path)} does not lie in the source ${printable(sourcePath)}`,
      guidance: 'give paths relative to the source, as rrbackup files lists them',
    });
  return isAbsolute ? names.slice(source.length) : names;
}

function toPattern(given: string, path: Buffer): Pattern {
  const text = pathText(path);
  // 's': a name may hold line breaks, and '*' means them too.
  const isMatch = picomatch(text, { dot: true, nonegate: true, flags: 's' });
  const pattern: Pattern = {
    given,
    base: picomatch.scan(text).base,
    hasMatched: false,
    matches: (candidate) => {
      const isHit = isMatch(candidate);
      pattern.hasMatched ||= isHit;
      return isHit;
    },
  };
  return pattern;
}

function isWithin(path: string, directory: string): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`);
}

function keyOf(path: Buffer): string {
  return path.toString('latin1');
}

/** Patterns are text: a path that is not UTF-8 is matched with each byte as the character of that number. */
function pathText(path: Buffer): string {
  const text = path.toString('utf8');
  return text.includes('\ufffd') && !Buffer.from(text, 'utf8').equals(path) ? path.toString('latin1') : text;
}
