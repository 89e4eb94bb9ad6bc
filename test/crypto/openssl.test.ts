// The OpenSSL inside Node, called directly: the same bytes as node:crypto and libsodium, and nothing passes that is not whole.

import { createHmac } from 'node:crypto';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import sodium from 'libsodium-wrappers-sumo';
import t from 'tap';
import { aeadOpen, aeadSeal } from '../../lib/crypto/aead.js';
import { chunkId, cryptoReady, deriveKeys } from '../../lib/crypto/index.js';
import { openssl } from '../../lib/crypto/openssl.js';
import { noise } from '../pack/fixture.js';
import { runs } from '../runs.js';

await sodium.ready;
await cryptoReady();

const sizes_bytes = [0, 1, 15, 16, 17, 63, 64, 65, 4096, 65_535, 65_536, 65_537, 4 * 1024 * 1024];
const key = noise(32, 3);
const nonce = noise(12, 4);
const binding = openssl();

const bySodium = (plain: Uint8Array, associated: Uint8Array) =>
  sodium.crypto_aead_chacha20poly1305_ietf_encrypt(plain, associated, null, nonce, key);

/** The bytes in memory that threads share. */
function shared(bytes: Uint8Array): Uint8Array {
  const view = new Uint8Array(new SharedArrayBuffer(bytes.length));
  view.set(bytes);
  return view;
}

t.test('this Node has it', async (t) => {
  t.ok(binding, 'else the tests below test something else');
});

t.test('sealing and opening, all sizes, anywhere in memory', async (t) => {
  const { cipher } = binding!;
  for (const size_bytes of sizes_bytes) {
    for (const associated of [Buffer.alloc(0), Buffer.from('associated'), noise(100)]) {
      const plain = noise(size_bytes);
      const expected = Buffer.from(bySodium(plain, associated));
      // Not at the beginning of its memory, and with something behind it.
      const room = Buffer.alloc(3 + size_bytes + 16 + 3, 0xee);
      cipher.seal(key, nonce, associated, plain, room.subarray(3, -3));
      t.ok(room.subarray(3, -3).equals(expected), `${size_bytes} bytes`);
      t.ok(
        room.subarray(0, 3).equals(Buffer.alloc(3, 0xee)) && room.subarray(-3).equals(Buffer.alloc(3, 0xee)),
      );
      const opened = Buffer.alloc(size_bytes + 6, 0xee);
      t.ok(cipher.open(key, nonce, associated, expected, opened.subarray(3, -3)));
      t.ok(opened.subarray(3, -3).equals(plain));
      t.ok(
        opened.subarray(0, 3).equals(Buffer.alloc(3, 0xee)) &&
          opened.subarray(-3).equals(Buffer.alloc(3, 0xee)),
      );
      t.ok(plain.equals(noise(size_bytes)), 'the plain bytes are as they were');
    }
  }
});

t.test('in place', async (t) => {
  const { cipher } = binding!;
  for (const size_bytes of sizes_bytes) {
    const memory = Buffer.concat([noise(size_bytes), Buffer.alloc(16)]);
    cipher.seal(key, nonce, nonce, memory.subarray(0, size_bytes), memory);
    t.ok(memory.equals(bySodium(noise(size_bytes), nonce)), `${size_bytes} bytes`);
    t.ok(cipher.open(key, nonce, nonce, memory, memory));
    t.ok(memory.subarray(0, size_bytes).equals(noise(size_bytes)));
  }
});

t.test('memory that threads share', async (t) => {
  for (const size_bytes of [0, 1, 65_537]) {
    const plain = noise(size_bytes);
    const expected = bySodium(plain, nonce);
    t.ok(aeadSeal(key, nonce, nonce, shared(plain)).equals(expected), `${size_bytes} bytes`);
    t.ok(aeadOpen(key, nonce, nonce, shared(expected))?.equals(plain));
    const room = Buffer.from(new SharedArrayBuffer(size_bytes + 16));
    t.ok(aeadSeal(key, nonce, nonce, plain, room).equals(expected));
    const opened = Buffer.from(new SharedArrayBuffer(size_bytes + 16));
    t.ok(aeadOpen(key, nonce, nonce, Buffer.from(expected), opened)?.equals(plain));
    const keys = deriveKeys(noise(32));
    t.ok(chunkId(keys, shared(plain)).equals(chunkId(keys, plain)));
  }
});

t.test('a byte changed anywhere, or anything else that is other: refused, and wiped', async (t) => {
  const { cipher } = binding!;
  const plain = noise(100);
  const associated = noise(20, 9);
  const sealed = Buffer.from(bySodium(plain, associated));
  const refuses = (key: Buffer, nonce: Buffer, associated: Buffer, sealed: Buffer): boolean => {
    const room = Buffer.alloc(sealed.length - 16, 0xee);
    const isOpen = cipher.open(key, nonce, associated, sealed, room);
    return (
      !isOpen &&
      room.equals(Buffer.alloc(room.length)) &&
      aeadOpen(key, nonce, associated, sealed) === undefined
    );
  };
  const parts = [key, nonce, associated, sealed] as const;
  for (const [which, part] of parts.entries()) {
    for (let at = 0; at < part.length; at++) {
      const changed = parts.map((bytes) => Buffer.from(bytes)) as [Buffer, Buffer, Buffer, Buffer];
      changed[which]![at]! ^= 1 << (at % 8);
      if (!refuses(...changed)) t.fail(`part ${which}, byte ${at}`);
    }
  }
  for (let length = 16; length < sealed.length; length++)
    if (!refuses(key, nonce, associated, sealed.subarray(0, length))) t.fail(`${length} bytes of it`);
  t.ok(refuses(key, nonce, associated, Buffer.concat([sealed, Buffer.alloc(1)])));
  t.ok(refuses(key, nonce, associated.subarray(1), sealed));
  // What was refused leaves nothing behind that the next one would feel.
  const opened = Buffer.alloc(plain.length);
  t.ok(cipher.open(key, nonce, associated, sealed, opened) && opened.equals(plain));
  t.throws(() => cipher.seal(key.subarray(1), nonce, associated, plain, Buffer.alloc(200)), RangeError);
  t.throws(() => cipher.seal(key, nonce.subarray(1), associated, plain, Buffer.alloc(200)), RangeError);
});

t.test('keyed hashes of all sizes, two keys by turns', async (t) => {
  const keys = [noise(32, 1), noise(64, 2), noise(1, 3), Buffer.alloc(0)];
  const hashes = keys.map((key) => binding!.hashUnder(key));
  for (const size_bytes of sizes_bytes) {
    const plain = noise(size_bytes);
    for (const [index, key] of keys.entries())
      t.ok(
        hashes[index]!.digest(plain).equals(createHmac('sha256', key).update(plain).digest()),
        `${size_bytes} bytes, key ${index}`,
      );
  }
  const [first] = hashes;
  const digest = first!.digest(Buffer.from('one'));
  first!.digest(Buffer.from('two'));
  t.ok(digest.equals(createHmac('sha256', keys[0]!).update('one').digest()), 'a digest is its caller’s own');
  for (const hash of hashes) hash.free();
  t.throws(() => binding!.hashUnder(noise(65)), RangeError);
});

t.test('any bytes', async () => {
  const bytes = fc.uint8Array({ maxLength: 500 });
  const hash = binding!.hashUnder(key);
  const property = fc.property(bytes, bytes, (plain, associated) => {
    const sealed = Buffer.alloc(plain.length + 16);
    binding!.cipher.seal(key, nonce, associated, plain, sealed);
    return (
      sealed.equals(bySodium(plain, associated)) &&
      hash.digest(plain).equals(createHmac('sha256', key).update(plain).digest())
    );
  });
  fc.assert(property, runs(200));
  hash.free();
});

t.test('where Node does not offer it, node:crypto gives the same', async (t) => {
  const lib = path.resolve(fileURLToPath(import.meta.url), '../../../lib/crypto');
  // In a process whose C library is not found: of all koffi could bind, nothing is there.
  const script = `
    const { default: koffi } = await import('koffi');
    koffi.load = () => { throw new Error('nothing to load'); };
    const { openssl } = await import(${JSON.stringify(`${lib}/openssl.js`)});
    const { aeadOpen, aeadSeal } = await import(${JSON.stringify(`${lib}/aead.js`)});
    const { chunkId, cryptoReady, deriveKeys } = await import(${JSON.stringify(`${lib}/index.js`)});
    await cryptoReady();
    const plain = Buffer.alloc(70_001, 'plain');
    const [key, nonce] = [Buffer.alloc(32, 1), Buffer.alloc(12, 2)];
    const sealed = aeadSeal(key, nonce, nonce, plain);
    const roomy = aeadSeal(key, nonce, nonce, plain, Buffer.alloc(80_000));
    const opened = aeadOpen(key, nonce, nonce, sealed, Buffer.alloc(80_000));
    const damaged = Buffer.from(sealed);
    damaged[70_000] ^= 1;
    console.log(JSON.stringify({
      has: openssl() !== undefined,
      sealed: sealed.toString('base64'),
      isSame: sealed.equals(roomy) && opened.equals(plain),
      refuses: aeadOpen(key, nonce, nonce, damaged) === undefined,
      id: chunkId(deriveKeys(key), plain).toString('hex'),
    }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: path.resolve(lib, '../..'),
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  t.equal(stderr, '');
  const plain = Buffer.alloc(70_001, 'plain');
  const [key, nonce] = [Buffer.alloc(32, 1), Buffer.alloc(12, 2)];
  t.strictSame(JSON.parse(stdout), {
    has: false,
    sealed: aeadSeal(key, nonce, nonce, plain).toString('base64'),
    isSame: true,
    refuses: true,
    id: chunkId(deriveKeys(key), plain).toString('hex'),
  });
});
