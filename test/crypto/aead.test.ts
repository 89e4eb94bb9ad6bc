import fc from 'fast-check';
import sodium from 'libsodium-wrappers-sumo';
import t from 'tap';

import { aeadOpen, aeadSeal } from '../../lib/crypto/aead.js';
import { runs } from '../runs.js';

await sodium.ready;

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const nonce = fc.uint8Array({ minLength: 12, maxLength: 12 });
const bytes = fc.uint8Array({ maxLength: 3000 });

t.test('RFC 8439, section 2.8.2', async (t) => {
  const key = Buffer.from(Array.from({ length: 32 }, (_, index) => 0x80 + index));
  const nonce = Buffer.from('070000004041424344454647', 'hex');
  const associated = Buffer.from('50515253c0c1c2c3c4c5c6c7', 'hex');
  const plain = Buffer.from(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  const sealed = Buffer.from(
    'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b' +
      '1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc' +
      '3ff4def08e4b7a9de576d26586cec64b6116' +
      '1ae10b594f09e26a7e902ecbd0600691',
    'hex',
  );
  t.same(aeadSeal(key, nonce, associated, plain), sealed);
  t.same(aeadOpen(key, nonce, associated, sealed), plain);
});

t.test('node:crypto and libsodium give the same bytes, both ways', async () => {
  fc.assert(
    fc.property(key, nonce, bytes, bytes, (key, nonce, associated, plain) => {
      const node = aeadSeal(key, nonce, associated, plain);
      const libsodium = sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plain, associated, null, nonce, key);
      return (
        node.equals(libsodium) &&
        aeadOpen(key, nonce, associated, libsodium)!.equals(plain) &&
        Buffer.from(
          sodium.crypto_aead_chacha20poly1305_ietf_decrypt(null, node, associated, nonce, key),
        ).equals(plain)
      );
    }),
    runs(500),
  );
});

t.test('a block of a pack, both ways', async (t) => {
  const key = Buffer.alloc(32, 1);
  const nonce = Buffer.alloc(12, 2);
  const plain = Buffer.alloc(4 * 1024 * 1024 + 17, 'what is in a block ');
  const node = aeadSeal(key, nonce, Buffer.from('aad'), plain);
  t.ok(node.equals(sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plain, 'aad', null, nonce, key)));
  t.ok(aeadOpen(key, nonce, Buffer.from('aad'), node)!.equals(plain));
});

t.test('too short for a tag', async (t) => {
  for (let length = 0; length < 17; length++)
    t.equal(aeadOpen(Buffer.alloc(32), Buffer.alloc(12), Buffer.alloc(0), Buffer.alloc(length)), undefined);
});

t.test('into memory that is there: the same bytes, and nothing behind them', async (t) => {
  const key = Buffer.alloc(32, 1);
  const nonce = Buffer.alloc(12, 2);
  const associated = Buffer.from('associated');
  for (const size of [0, 1, 65_535, 65_536, 65_537, 200_000]) {
    const plain = Buffer.from(Array.from({ length: size }, (_, index) => index % 251));
    const sealed = aeadSeal(key, nonce, associated, plain);
    const room = Buffer.alloc(size + 5, 0xee);
    const opened = aeadOpen(key, nonce, associated, sealed, room);
    t.ok(opened?.equals(plain), `${size} bytes`);
    t.equal(opened?.buffer, room.buffer, 'in the room');
    t.ok(room.subarray(size).equals(Buffer.alloc(5, 0xee)), 'nothing behind them');
    if (size > 0) {
      t.ok(
        aeadOpen(key, nonce, associated, sealed, Buffer.alloc(size - 1))?.equals(plain),
        'too small a room',
      );
      sealed[size >> 1]! ^= 1;
      t.equal(aeadOpen(key, nonce, associated, sealed, room), undefined, 'a flipped bit');
      t.ok(room.subarray(0, size).equals(Buffer.alloc(size)), 'what was not authentic is not left there');
    }
  }
});
