// The ground of a second decoder, written from lib/pack/FORMAT.md alone: it shares no code with the program but zstd.

import { createDecipheriv, createHmac } from 'node:crypto';
import sodium from 'libsodium-wrappers-sumo';
import { loadZstd } from '../../lib/compression/index.js';

await sodium.ready;
export const zstd = await loadZstd();
const secret = Buffer.alloc(32, 7);
export const subkey = (id: number) =>
  Buffer.from(sodium.crypto_kdf_derive_from_key(32, id, 'rrbackup', secret));

function objectKeyOf(object: Buffer): Buffer {
  const key = Buffer.from(
    sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
      null,
      object.subarray(84, 132),
      object.subarray(0, 28),
      object.subarray(60, 84),
      subkey(3),
    ),
  );
  const commitment = createHmac('sha256', key).update('rrbackup object key commitment 1').digest();
  if (!commitment.equals(object.subarray(28, 60))) throw new Error('commitment');
  return key;
}

export function openSection(
  object: Buffer,
  section: number,
  index: number,
  from: number,
  length: number,
  context: Uint8Array = Buffer.alloc(0),
): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32LE(section, 0);
  nonce.writeBigUInt64LE(BigInt(index), 4);
  const decipher = createDecipheriv('chacha20-poly1305', objectKeyOf(object), nonce, { authTagLength: 16 });
  decipher.setAAD(Buffer.concat([object.subarray(0, 28), nonce, context]), { plaintextLength: length - 16 });
  decipher.setAuthTag(object.subarray(from + length - 16, from + length));
  return Buffer.concat([decipher.update(object.subarray(from, from + length - 16)), decipher.final()]);
}

export function numbers(bytes: Buffer) {
  let at = 0;
  return {
    varint: () => {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes[at++]!;
        value += (byte & 0x7f) * scale;
        if (byte < 128) return value;
      }
    },
    raw: (length: number) => bytes.subarray(at, (at += length)),
    rest: () => bytes.subarray(at),
  };
}

/** u8 codec ‖ varint plain length ‖ bytes. */
export function plainOf(body: Buffer): Buffer {
  const reader = numbers(body);
  const codec = reader.raw(1)[0]!;
  const plain_bytes = reader.varint();
  return codec === 1 ? zstd.decompress(reader.rest(), plain_bytes) : reader.rest();
}
