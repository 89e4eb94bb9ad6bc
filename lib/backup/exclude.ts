// Which entries of a source are left out: gitignore rules from the configuration and from files. Decides by path alone,
// looks at no file of the source.

import fs from 'node:fs';
import ignore, { type Ignore } from 'ignore';
import { RrbackupError } from '../errors/index.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import type { SourceConfiguration } from '../repository/types.js';

export interface Excludes {
  /**
   * Whether the entry at `path` (relative to the source) is left out. Parents are taken to have been asked about before:
   * nothing below an excluded directory comes back by a later rule, as in git.
   */
  excludes(path: Uint8Array, isDirectory: boolean): boolean;
  /** There are no rules: nobody needs to ask. */
  readonly isEmpty: boolean;
}

/** Cached answers of the library that may pile up before they are dropped. */
const cachedAnswers = 10_000;
const maximumRules_bytes = 16 * 1024 * 1024;

/**
 * The text of a source's rules, those of its files after those of the configuration. Throws kind usage if a file with
 * rules cannot be read.
 */
export function excludeRules(source: Pick<SourceConfiguration, 'exclude' | 'excludeFiles'>): string[] {
  return [...source.exclude, ...source.excludeFiles.map(readRules)];
}

/**
 * Case matters. Rules are text: a path that is not UTF-8 is matched with each byte as the character of that number (latin1),
 * so that `*` and what stands around it work.
 */
export function makeExcludes(rules: readonly string[]): Excludes {
  if (rules.every((rule) => rule.trim() === '')) return { excludes: () => false, isEmpty: true };
  const compile = (): Ignore => ignore({ ignorecase: false }).add(rules.join('\n'));
  let compiled = compile();
  let asked = 0;
  return {
    isEmpty: false,
    excludes: (path, isDirectory) => {
      if (path.length === 0) return false;
      if (++asked % cachedAnswers === 0) compiled = compile();
      const text = pathText(path);
      return compiled.ignores(isDirectory ? `${text}/` : text);
    },
  };
}

/** The file may lie in a tree that others write: a fifo or a device in its place neither holds up the backup nor fills its memory. */
function readRules(file: string): string {
  const { O_RDONLY, O_NONBLOCK, O_NOCTTY } = fs.constants;
  let fd: number | undefined;
  try {
    fd = fs.openSync(file, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const stats = fs.fstatSync(fd);
    if (!stats.isFile()) throw unreadableRules(file, 'it is no regular file');
    if (stats.size > maximumRules_bytes) throw unreadableRules(file, 'it is too long for a list of rules');
    return fs.readFileSync(fd, 'utf8');
  } catch (error) {
    throw error instanceof RrbackupError ? error : unreadableRules(file, reasonOf(error), error);
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

function unreadableRules(file: string, reason: string, cause?: unknown): RrbackupError {
  return new RrbackupError({
    code: errorCode(cause) === 'ENOENT' ? 'backup.exclude_file_missing' : 'backup.exclude_file_unreadable',
    kind: 'usage',
    message: `the file with exclude rules ${file} cannot be read: ${reason}`,
    guidance: 'correct exclude_file in the configuration, or create the file',
    cause,
  });
}

function pathText(path: Uint8Array): string {
  const view = Buffer.from(path.buffer, path.byteOffset, path.byteLength);
  const text = view.toString('utf8');
  return text.includes('\ufffd') && !Buffer.from(text, 'utf8').equals(view) ? view.toString('latin1') : text;
}
