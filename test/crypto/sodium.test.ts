// The two libsodium: whichever a machine has, the bytes are the same, and neither opens what does not fit.

import fc from 'fast-check';
import library from 'libsodium-wrappers-sumo';
import t from 'tap';
import { known } from '../../lib/crypto/known.js';
import { loadSystemSodium } from '../../lib/crypto/sodium-system.js';
import type { PasswordCost } from '../../lib/crypto/sodium-types.js';
import { loadWasmSodium } from '../../lib/crypto/sodium-wasm.js';
import { runs } from '../runs.js';

const system = loadSystemSodium();
const wasm = await loadWasmSodium();
const builds = system === undefined ? [wasm] : [wasm, system];
const skip = system === undefined ? 'this machine has no libsodium of its own' : false;

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const some = fc.uint8Array({ maxLength: 300 });

/** The bytes in memory that threads share, not at its beginning. */
function shared(given: Uint8Array): Uint8Array {
  const view = new Uint8Array(new SharedArrayBuffer(given.length + 3)).subarray(3);
  view.set(given);
  return view;
}

/** Argon2id of the WebAssembly build itself, whatever Node can do. */
const byLibrary = (password: Uint8Array, salt: Uint8Array, cost: PasswordCost) =>
  library.crypto_pwhash(
    32,
    password,
    salt,
    cost.ops,
    cost.memory_bytes,
    library.crypto_pwhash_ALG_ARGON2ID13,
  );

t.test('the WebAssembly build gives what others are asked for before they are used', async (t) => {
  t.ok(known.isSubkey(wasm.subkey));
  t.ok(known.isSealed(wasm.seal));
  t.ok(known.isOpened(wasm.open));
  t.ok(known.isPasswordKey(byLibrary));
});

t.test('what gives something else is not used', async (t) => {
  const other = { ...wasm, subkey: () => Buffer.alloc(32), seal: () => Buffer.alloc(48) };
  t.notOk(known.isSubkey(other.subkey));
  t.notOk(known.isSealed(other.seal));
  t.notOk(known.isOpened(() => Buffer.alloc(32)));
  t.notOk(known.isOpened(() => undefined));
  t.notOk(known.isPasswordKey(() => Buffer.alloc(32)));
});

t.test('subkeys are the same', { skip }, async () => {
  fc.assert(
    fc.property(bytes(32), fc.nat({ max: 0x7fff_ffff }), (secret, id) =>
      Buffer.from(system!.subkey(id, 'rrbackup', secret)).equals(wasm.subkey(id, 'rrbackup', secret)),
    ),
    runs(100),
  );
});

t.test('what one seals the other seals and opens, shared memory too', { skip }, async () => {
  fc.assert(
    fc.property(bytes(32), bytes(24), some, some, (key, nonce, associated, plain) => {
      const sealed = wasm.seal(key, nonce, associated, plain);
      return (
        Buffer.from(system!.seal(key, nonce, associated, plain)).equals(sealed) &&
        Buffer.from(system!.seal(key, nonce, shared(associated), shared(plain))).equals(sealed) &&
        builds.every((build) => Buffer.from(build.open(key, nonce, associated, sealed)!).equals(plain)) &&
        Buffer.from(system!.open(key, shared(nonce), shared(associated), shared(sealed))!).equals(plain)
      );
    }),
    runs(100),
  );
});

t.test('a changed bit opens in neither', async () => {
  fc.assert(
    fc.property(bytes(32), bytes(24), some, some, fc.nat(), (key, nonce, associated, plain, at) => {
      const sealed = Buffer.from(wasm.seal(key, nonce, associated, plain));
      const bit = at % (sealed.length * 8);
      sealed[bit >> 3]! ^= 1 << (bit & 7);
      return builds.every((build) => build.open(key, nonce, associated, sealed) === undefined);
    }),
    runs(100),
  );
});

t.test('keys from passwords are the same, the default cost and others', async (t) => {
  const salt = Buffer.alloc(16, 0x5a);
  for (const [ops, memory_bytes] of [
    [1, 8192],
    [3, 1024 * 1024 + 500],
    [2, 64 * 1024 * 1024],
  ] as const) {
    for (const password of ['x', 'pässword', 'long '.repeat(100)]) {
      const given = () => Buffer.from(password);
      const expected = byLibrary(given(), salt, { ops, memory_bytes });
      for (const build of builds)
        t.ok(
          Buffer.from(build.passwordKey(given(), salt, { ops, memory_bytes })).equals(expected),
          build.name,
        );
    }
  }
});

t.test('C is given nothing of another length than it reads', { skip }, async (t) => {
  const [key, nonce, none] = [Buffer.alloc(32), Buffer.alloc(24), Buffer.alloc(0)];
  const short = Buffer.alloc(15);
  t.throws(() => system!.subkey(1, 'rrbackup', short), RangeError);
  t.throws(() => system!.subkey(1, 'short', key), RangeError);
  t.throws(() => system!.seal(short, nonce, none, none), RangeError);
  t.throws(() => system!.seal(key, short, none, none), RangeError);
  t.throws(() => system!.open(short, nonce, none, Buffer.alloc(16)), RangeError);
  t.throws(() => system!.open(key, short, none, Buffer.alloc(16)), RangeError);
  t.throws(() => system!.passwordKey(short, short, { ops: 1, memory_bytes: 8192 }), RangeError);
});

t.test('a cost that no memory has room for is an error with a way out', { skip }, async (t) => {
  const cost = { ops: 1, memory_bytes: 2 ** 41 };
  t.throws(() => system!.passwordKey(Buffer.from('x'), Buffer.alloc(16), cost), { code: 'crypto.memory' });
});
