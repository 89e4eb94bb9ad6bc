// A key slot: the repository secret wrapped under one password, as a small JSON object keys/<slot>. Any one slot opens the
// repository. Never keeps a password or a secret longer than a call.
//
//   {"format": "rrbackup-key", "version": 1, "repository": "<32 hex>", "slot": "<16 hex>", "name": "user@host",
//    "created": "<ISO 8601>", "kdf": {"algorithm": "argon2id13", "ops": 2, "memory_bytes": 67108864, "salt": "<base64, 16>"},
//    "wrapped": "<base64: nonce 24, secret 32, tag 16>"}
//
// wrapped = XChaCha20-Poly1305 under Argon2id(password in NFC and UTF-8, salt, ops passes, memory_bytes, 1 lane). Associated
// data: text format, u32 version, text repository, text slot, text name, text created, text algorithm, u32 ops,
// u64 memory_bytes, 16 bytes salt; texts as varint length and UTF-8, numbers little-endian. Readers refuse any but 1 to 8
// passes over 32 to 128 MiB.

import { ByteWriter } from '../bytes/cursor.js';
import { printable } from '../bytes/path.js';
import { passwordKey, randomBytes, salt_bytes, secret_bytes, unwrap, wipe, wrap } from '../crypto/index.js';
import type { PasswordCost } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import { JsonFields, repositoryIdPattern, timePattern } from './json.js';

const format = 'rrbackup-key';
const version = 1;
const algorithm = 'argon2id13';
const wrapped_bytes = 24 + secret_bytes + 16;
const maximumName = 200;
const MiB = 1024 * 1024;

const slotGuidance =
  'another password opens the repository, or an exported key: rrbackup recover --key-file FILE';

export const slotIdPattern = /^[0-9a-f]{16}$/;

/**
 * What libsodium names interactive: every run of a timer pays it, and so does every guess. It is three times the least that
 * OWASP asks for (19 MiB, 2 passes) and what a guess costs with kopia (scrypt over 64 MiB). Measured: 140 ms on one core; a
 * third pass would take 70 more and make guessing dearer by half, which is less than one letter of a password does.
 */
export const defaultCost: PasswordCost = { ops: 2, memory_bytes: 64 * MiB };

/** What a try costs, in proportion. */
export function workOf({ ops, memory_bytes }: PasswordCost): number {
  return ops * memory_bytes;
}

/**
 * What is refused whoever wrote it. Weaker: somebody who can write to the store could otherwise have us use a password in
 * a way that is cheap to guess. Stronger: somebody could have us fill the memory, or wait; checked before anything is
 * allocated. At the most twice the memory and eight times the work of our own slots: a second on one core, a process of less
 * than 256 MiB, and room for a dearer default, which a program that does not know it yet then still opens.
 */
const costLimits = {
  minimum: { ops: 1, memory_bytes: 32 * MiB },
  maximum: { ops: 8, memory_bytes: 128 * MiB },
};

export interface NewSlot {
  readonly secret: Uint8Array;
  readonly password: string;
  readonly repositoryId: string;
  /** For people: who uses this password, such as 'user@host'. Printable, up to 200 characters. */
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** Default: 64 MiB, 2 passes. */
  readonly kdf?: PasswordCost;
}

interface SlotFields {
  readonly repository: string;
  readonly slot: string;
  readonly name: string;
  readonly created: string;
  readonly cost: PasswordCost;
  readonly salt: Buffer;
}

/** A slot as it was read; nothing in it is authentic before a password has opened it. */
export interface KeySlot extends SlotFields {
  readonly wrapped: Buffer;
}

/** Wraps the repository secret under a password, in a new slot. Needs cryptoReady. Takes about 0.2 s. */
export function createSlot(options: NewSlot): { id: string; bytes: Buffer } {
  const fields: SlotFields = {
    repository: options.repositoryId,
    slot: randomBytes(8).toString('hex'),
    name: options.name,
    created: options.created,
    cost: options.kdf ?? defaultCost,
    salt: randomBytes(salt_bytes),
  };
  if (options.secret.length !== secret_bytes)
    throw new RangeError(`a repository secret has ${secret_bytes} bytes`);
  if (!isName(options.name))
    throw new RrbackupError({
      code: 'keys.bad_name',
      kind: 'usage',
      message: `the name of a password has 1 to ${maximumName} printable characters`,
    });
  checkCost(fields);
  const key = passwordKey(passwordBytes(options.password), fields.salt, fields.cost);
  const wrapped = wrap(key, associatedData(fields), options.secret);
  wipe(key);
  const json = {
    format,
    version,
    repository: fields.repository,
    slot: fields.slot,
    name: fields.name,
    created: fields.created,
    kdf: { algorithm, ...fields.cost, salt: fields.salt.toString('base64') },
    wrapped: wrapped.toString('base64'),
  };
  return { id: fields.slot, bytes: Buffer.from(`${JSON.stringify(json, undefined, 2)}\n`) };
}

/**
 * Reads a slot without opening it. Errors: 'keys.damaged', 'format.newer', 'keys.other_repository', 'keys.weak_kdf',
 * 'keys.huge_kdf'.
 */
export function parseSlot(bytes: Uint8Array, repositoryId: string): KeySlot {
  const json = JsonFields.parse(bytes, 'a key slot', slotGuidance);
  json.expectFormat(format, version);
  json.expectOnly(['format', 'version', 'repository', 'slot', 'name', 'created', 'kdf', 'wrapped']);
  const kdf = json.object('kdf');
  kdf.choice('algorithm', [algorithm]);
  kdf.expectOnly(['algorithm', 'ops', 'memory_bytes', 'salt']);
  const slot: KeySlot = {
    repository: json.text('repository', repositoryIdPattern),
    slot: json.text('slot', slotIdPattern),
    name: json.text('name', /^/),
    created: json.text('created', timePattern),
    cost: {
      ops: kdf.integer('ops', 0, 0xffff_ffff),
      memory_bytes: kdf.integer('memory_bytes', 0, Number.MAX_SAFE_INTEGER),
    },
    salt: kdf.base64('salt', salt_bytes),
    wrapped: json.base64('wrapped', wrapped_bytes),
  };
  if (!isName(slot.name)) throw json.fail('name is not what it should be');
  if (slot.repository !== repositoryId)
    throw new RrbackupError({
      code: 'keys.other_repository',
      kind: 'tampered',
      message: `key slot ${slot.slot} belongs to another repository`,
      guidance: 'somebody has moved objects between repositories: look at who can write to this store',
    });
  checkCost(slot);
  return slot;
}

/** The repository that a slot says it belongs to; undefined where it is no slot. Nothing of it is authentic. */
export function repositoryOfSlot(bytes: Uint8Array): string | undefined {
  try {
    const json = JsonFields.parse(bytes, 'a key slot', slotGuidance);
    json.expectFormat(format, version);
    return json.text('repository', repositoryIdPattern);
  } catch (error) {
    if (error instanceof RrbackupError) return undefined;
    throw error;
  }
}

/** The repository secret, or undefined if this is not the slot's password. Errors as parseSlot. Needs cryptoReady. */
export function openSlot(bytes: Uint8Array, password: string, repositoryId: string): Buffer | undefined {
  return openParsedSlot(parseSlot(bytes, repositoryId), password);
}

/** The same for a slot that parseSlot has read. The caller wipes the secret when done. */
export function openParsedSlot(slot: KeySlot, password: string): Buffer | undefined {
  const key = passwordKey(passwordBytes(password), slot.salt, slot.cost);
  const secret = unwrap(key, associatedData(slot), slot.wrapped);
  wipe(key);
  return secret;
}

/** The same letters are the same password, however the keyboard composed them. */
function passwordBytes(password: string): Uint8Array {
  if (password.length === 0)
    throw new RrbackupError({
      code: 'keys.empty_password',
      kind: 'usage',
      message: 'the password is empty',
      guidance: 'choose one, or write "encryption = none" to store everything readable by anybody',
    });
  return new TextEncoder().encode(password.normalize('NFC'));
}

function associatedData(fields: SlotFields): Buffer {
  return new ByteWriter()
    .text(format)
    .u32(version)
    .text(fields.repository)
    .text(fields.slot)
    .text(fields.name)
    .text(fields.created)
    .text(algorithm)
    .u32(fields.cost.ops)
    .u64(BigInt(fields.cost.memory_bytes))
    .raw(fields.salt)
    .view();
}

function isName(name: string): boolean {
  return name.length > 0 && name.length <= maximumName && printable(Buffer.from(name)) === name;
}

function checkCost({ slot, cost }: SlotFields): void {
  const { minimum, maximum } = costLimits;
  const refuse = (code: string, what: string): RrbackupError =>
    new RrbackupError({
      code,
      kind: 'tampered',
      message: `key slot ${slot} asks for a password to be used ${what} (${cost.ops} passes, ${cost.memory_bytes} bytes)`,
      guidance: 'rrbackup never writes such a slot: look at who can write to this store, and remove the slot',
    });
  if (cost.ops < minimum.ops || cost.memory_bytes < minimum.memory_bytes)
    throw refuse('keys.weak_kdf', 'in a way that is easy to guess');
  if (cost.ops > maximum.ops || cost.memory_bytes > maximum.memory_bytes)
    throw refuse('keys.huge_kdf', 'with more work than is allowed');
}
