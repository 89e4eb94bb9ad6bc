// rrbackup.json, the one object that is read before any key is known: what the repository is and how to open it. Plain JSON
// with a keyed sum, which is checked as soon as the keys are there.
//
//   {"format": "rrbackup", "version": 1, "repository": "<32 hex>", "encryption": "password" | "none",
//    "conditional_create": true | false, "created": "<ISO 8601>", "mac": "<64 hex>"}
//
// mac = HMAC-SHA256 under the repository's descriptor key of: text format, u32 version, text repository, text encryption,
// u8 conditional_create, text created; texts as varint length and UTF-8, numbers little-endian.

import { ByteWriter } from '../bytes/cursor.js';
import { equalSecrets, hmacSha256 } from '../crypto/index.js';
import type { RepositoryKeys } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import { JsonFields, repositoryIdPattern, timePattern } from './json.js';

export const descriptorKey = 'rrbackup.json';

const format = 'rrbackup';
const version = 1;
const encryptions = ['password', 'none'] as const;

export type Encryption = (typeof encryptions)[number];

export interface DescriptorFields {
  /** The repository id: 32 hex digits. */
  readonly repository: string;
  readonly encryption: Encryption;
  /** What the store was found to do with If-None-Match. */
  readonly conditionalCreate: boolean;
  /** ISO 8601, UTC. */
  readonly created: string;
}

export interface Descriptor extends DescriptorFields {
  readonly mac: string;
}

function macOf(fields: DescriptorFields, keys: RepositoryKeys): Buffer {
  const canonical = new ByteWriter()
    .text(format)
    .u32(version)
    .text(fields.repository)
    .text(fields.encryption)
    .u8(fields.conditionalCreate ? 1 : 0)
    .text(fields.created);
  return hmacSha256(keys.descriptor, canonical.view());
}

/** The bytes of rrbackup.json. */
export function encodeDescriptor(fields: DescriptorFields, keys: RepositoryKeys): Buffer {
  const json = {
    format,
    version,
    repository: fields.repository,
    encryption: fields.encryption,
    conditional_create: fields.conditionalCreate,
    created: fields.created,
    mac: macOf(fields, keys).toString('hex'),
  };
  return Buffer.from(`${JSON.stringify(json, undefined, 2)}\n`);
}

/**
 * Reads rrbackup.json; not yet authenticated, see verifyDescriptor. Errors: 'keys.damaged', and 'format.newer' for a version,
 * a field or an encryption that this program does not know.
 */
export function parseDescriptor(bytes: Uint8Array): Descriptor {
  const json = JsonFields.parse(
    bytes,
    "the repository's descriptor rrbackup.json",
    'rrbackup recover makes it anew, and keeps beside it what stands there now',
  );
  json.expectFormat(format, version);
  json.expectOnly(['format', 'version', 'repository', 'encryption', 'conditional_create', 'created', 'mac']);
  return {
    repository: json.text('repository', repositoryIdPattern),
    encryption: json.choice('encryption', encryptions),
    conditionalCreate: json.boolean('conditional_create'),
    created: json.text('created', timePattern),
    mac: json.text('mac', /^[0-9a-f]{64}$/),
  };
}

/** Throws 'keys.descriptor_tampered' unless somebody with the repository's keys wrote this descriptor. */
export function verifyDescriptor(descriptor: Descriptor, keys: RepositoryKeys): void {
  if (equalSecrets(macOf(descriptor, keys), Buffer.from(descriptor.mac, 'hex'))) return;
  throw new RrbackupError({
    code: 'keys.descriptor_tampered',
    kind: 'tampered',
    message: "the repository's descriptor rrbackup.json is not what rrbackup wrote",
    guidance: 'find out who can write to this store; rrbackup recover makes rrbackup.json anew',
  });
}
