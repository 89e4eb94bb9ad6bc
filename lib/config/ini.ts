// The INI dialect of Python's ConfigParser, which people's existing files were written for: sections, 'key: value' or
// 'key = value', values taken as they stand, continued on lines that are indented deeper. The npm package `ini` cannot read
// it: it knows only '=', takes '#' and ';' inside a value for comments, strips quotes and has no line numbers, and a password
// that is read wrong is a repository that cannot be opened.

import { RrbackupError } from '../errors/index.js';

export interface IniEntry {
  /** Lower case: names are not case-sensitive. */
  readonly key: string;
  /** Trimmed; continuation lines are joined with '\n'. */
  readonly value: string;
  /** Counted from 1. */
  readonly line: number;
}

export interface IniSection {
  readonly name: string;
  readonly line: number;
  readonly entries: readonly IniEntry[];
}

function wrong(file: string, line: number, message: string, guidance?: string): RrbackupError {
  return new RrbackupError({
    code: 'config.syntax',
    kind: 'usage',
    message: `${file}, line ${line}: ${message}`,
    ...(guidance === undefined ? {} : { guidance }),
  });
}

/**
 * ' 'KEY'' for a message, or nothing for what does not look like a key: it may be the beginning of a secret whose line was
 * mistyped, such as 'secret_key abc=' without a separator, or that goes on in a line of its own.
 */
export function keyInWords(key: string): string {
  const isWord = /^[a-z]+([_-][a-z]+)*$/.test(key) && key.length <= 24;
  const isGlued = /^(crypt_password|secret_key|access_key).{3}/.test(key);
  return isWord && !isGlued ? ` '${key}'` : '';
}

/**
 * The sections of a file in their order. Rules (ConfigParser with its defaults, strict, without interpolation): the first ':'
 * or '=' ends the key; comments are whole lines that begin with '#' or ';', never the end of a line; a line indented deeper
 * than its key goes on with the value, empty lines inside of it too; a section or a key twice is an error ('config.syntax').
 */
export function parseIni(text: string, file: string): IniSection[] {
  const sections: {
    name: string;
    line: number;
    entries: { key: string; lines: string[]; line: number }[];
  }[] = [];
  let keyIndent = 0;
  let isInValue = false;
  for (const [index, raw] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = index + 1;
    const content = raw.trim();
    const section = sections.at(-1);
    const entry = isInValue ? section?.entries.at(-1) : undefined;
    if (content.startsWith('#') || content.startsWith(';')) continue;
    if (content === '') {
      entry?.lines.push('');
      continue;
    }
    const indent = raw.length - raw.trimStart().length;
    if (entry !== undefined && indent > keyIndent) {
      entry.lines.push(content);
      continue;
    }
    keyIndent = indent;
    const header = /^\[([^\]]*)\]\s*(?:[#;].*)?$/.exec(content);
    if (header !== null) {
      const name = header[1]!.trim();
      const before = sections.find((other) => other.name === name);
      if (before !== undefined)
        throw wrong(file, line, `section [${name}] stands in line ${before.line} already`, 'join the two');
      sections.push({ name, line, entries: [] });
      isInValue = false;
      continue;
    }
    const separator = content.search(/[:=]/);
    if (separator <= 0)
      throw wrong(
        file,
        line,
        "neither '[section]' nor 'key: value' nor a comment",
        "write 'key: value' or 'key = value'",
      );
    if (section === undefined)
      throw wrong(file, line, 'a value before the first section', "begin the file with '[main]'");
    const key = content.slice(0, separator).trim().toLowerCase();
    const before = section.entries.find((other) => other.key === key);
    if (before !== undefined)
      throw wrong(
        file,
        line,
        `the key${keyInWords(key)} stands in line ${before.line} already`,
        'remove one of the two',
      );
    section.entries.push({ key, lines: [content.slice(separator + 1).trim()], line });
    isInValue = true;
  }
  return sections.map(({ name, line, entries }) => ({
    name,
    line,
    entries: entries.map(({ key, lines, line: at }) => ({ key, value: lines.join('\n').trim(), line: at })),
  }));
}
