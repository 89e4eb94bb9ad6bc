// The repository secret as text that can be printed, kept on paper and typed again: each line checks itself, so that a
// mistake is known by its line. Pure; never stores or prints.
//
//   60 bytes: u8 version = 1 ‖ repository id 16 ‖ secret 32 ‖ the first 11 of SHA-256('rrbackup key' ‖ the 49 bytes before)
//   six lines: number, then 10 of the bytes in four groups of four letters (Crockford's base32: no I, L, O, U), then four
//   letters that check the line: the first 20 bits of SHA-256('rrbackup key line' ‖ u8 number ‖ its 10 bytes)

import { equalSecrets, secret_bytes, sha256, wipe } from '../crypto/index.js';
import { newerFormat, RrbackupError } from '../errors/index.js';

export interface RepositoryKey {
  /** 32 hex digits. */
  readonly repositoryId: string;
  /** The caller wipes it when done. */
  readonly secret: Buffer;
}

const version = 1;
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const lineCount = 6;
const line_bytes = 10;
const lineLetters = 16;
const checkLetters = 4;
const group = /.{4}/g;
const id_bytes = 16;
const sumAt = 1 + id_bytes + secret_bytes;

/** The six lines. */
export function exportKey({ repositoryId, secret }: RepositoryKey): string[] {
  if (secret.length !== secret_bytes) throw new RangeError(`a repository secret has ${secret_bytes} bytes`);
  const head = Buffer.concat([Buffer.of(version), Buffer.from(repositoryId, 'hex'), secret]);
  const bytes = Buffer.concat([head, sumOf(head)]);
  const lines = Array.from({ length: lineCount }, (_, index) => {
    const part = bytes.subarray(index * line_bytes, (index + 1) * line_bytes);
    const letters = toLetters(part) + checkOf(index + 1, part);
    return `${index + 1}  ${letters.match(group)!.join(' ')}`;
  });
  wipe(head);
  wipe(bytes);
  return lines;
}

/**
 * Finds the key in a text: lines that begin with a number from 1 to 6 and a space, in any order; all other lines are passed
 * over. Capital letters or small ones, with or without spaces; O is 0, I and L are 1. Errors, none of which repeats what was
 * read: 'keys.mistyped', 'keys.incomplete', 'format.newer'.
 */
export function parseExportedKey(text: string): RepositoryKey {
  const bytes = Buffer.alloc(lineCount * line_bytes);
  const found = new Set<number>();
  const wrong = new Set<number>();
  for (const line of text.split(/\r\n|\r|\n/)) {
    const parts = /^\s*([1-6])[.:)]?\s+(\S.*)$/.exec(line);
    if (parts === null) continue;
    const number = Number(parts[1]);
    const part = parseLine(number, parts[2]!);
    if (part === undefined) wrong.add(number);
    else part.copy(bytes, (number - 1) * line_bytes);
    found.add(number);
  }
  const missing = Array.from({ length: lineCount }, (_, index) => index + 1).filter(
    (number) => !found.has(number),
  );
  if (missing.length > 0) throw incomplete(missing);
  if (wrong.size > 0) throw mistyped([...wrong].sort((a, b) => a - b));
  const head = bytes.subarray(0, sumAt);
  if (!equalSecrets(sumOf(head), bytes.subarray(sumAt))) throw notOfOneKey();
  if (bytes[0] !== version) throw newerFormat('the exported key');
  return {
    repositoryId: bytes.toString('hex', 1, 1 + id_bytes),
    secret: bytes.subarray(1 + id_bytes, sumAt),
  };
}

function parseLine(number: number, typed: string): Buffer | undefined {
  const letters = typed.replace(/[\s-]/g, '').toUpperCase().replace(/O/g, '0').replace(/[IL]/g, '1');
  if (letters.length !== lineLetters + checkLetters) return undefined;
  const part = fromLetters(letters.slice(0, lineLetters));
  return part !== undefined && checkOf(number, part) === letters.slice(lineLetters) ? part : undefined;
}

function sumOf(head: Uint8Array): Buffer {
  return sha256(Buffer.concat([Buffer.from('rrbackup key'), head])).subarray(
    0,
    lineCount * line_bytes - sumAt,
  );
}

function checkOf(number: number, part: Uint8Array): string {
  const sum = sha256(Buffer.concat([Buffer.from('rrbackup key line'), Buffer.of(number), part]));
  return toLetters(sum.subarray(0, 5)).slice(0, checkLetters);
}

/** Five bytes are eight letters. */
function toLetters(bytes: Uint8Array): string {
  let letters = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) letters += alphabet[(held >> (bits - 5)) & 31]!;
    held &= (1 << bits) - 1;
  }
  return letters;
}

function fromLetters(letters: string): Buffer | undefined {
  const bytes: number[] = [];
  let held = 0;
  let bits = 0;
  for (const letter of letters) {
    const value = alphabet.indexOf(letter);
    if (value < 0) return undefined;
    held = (held << 5) | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push(held >> bits);
    held &= (1 << bits) - 1;
  }
  return Buffer.from(bytes);
}

const listed = (numbers: readonly number[]): string =>
  numbers.length === 1
    ? `line ${numbers[0]!}`
    : `lines ${numbers.slice(0, -1).join(', ')} and ${numbers.at(-1)!}`;

function mistyped(numbers: readonly number[]): RrbackupError {
  return new RrbackupError({
    code: 'keys.mistyped',
    kind: 'usage',
    message: `${listed(numbers)} of the key ${numbers.length === 1 ? 'is' : 'are'} not as printed`,
    guidance: `compare letter by letter; a line has five groups of four, and neither I, L, O nor U occurs in it`,
  });
}

function incomplete(numbers: readonly number[]): RrbackupError {
  return new RrbackupError({
    code: 'keys.incomplete',
    kind: 'usage',
    message: `${listed(numbers)} of the key ${numbers.length === 1 ? 'is' : 'are'} not there`,
    guidance: `a key that 'rrbackup key export' wrote has ${lineCount} lines, each with its number in front`,
  });
}

function notOfOneKey(): RrbackupError {
  return new RrbackupError({
    code: 'keys.mistyped',
    kind: 'usage',
    message: 'the lines of the key are each right, but they are not of one key',
    guidance: 'take all lines from one sheet',
  });
}
