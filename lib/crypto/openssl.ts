// The OpenSSL that Node itself is built on, called without the objects that node:crypto makes for every message: for a small
// chunk those cost four times the work, for a large one the memory of each result costs more than the cipher. Only EVP
// functions, which are OpenSSL's stable interface; where a Node does not offer them, or they do not give what node:crypto
// gives, node:crypto does the work. One thread's own.

import { createCipheriv, createHmac } from 'node:crypto';
import koffi from 'koffi';

type Pointer = unknown;
type Bytes = Uint8Array | null;

interface Evp {
  mdNew(): Pointer;
  mdFree(context: Pointer): void;
  sha256(): Pointer;
  digestInit(context: Pointer, type: Pointer, engine: null): number;
  digestUpdate(context: Pointer, bytes: Bytes, size: number): number;
  digestFinal(context: Pointer, into: Uint8Array, size: null): number;
  mdCopy(to: Pointer, from: Pointer): number;
  cipherNew(): Pointer;
  chacha20Poly1305(): Pointer;
  cipherInit(
    context: Pointer,
    type: Pointer,
    engine: null,
    key: Bytes,
    nonce: Bytes,
    encrypt: number,
  ): number;
  cipherUpdate(context: Pointer, into: Bytes, size: Uint8Array, bytes: Bytes, length: number): number;
  cipherFinal(context: Pointer, into: Uint8Array, size: Uint8Array): number;
  cipherControl(context: Pointer, command: number, size: number, bytes: Bytes): number;
}

/** EVP_CTRL_AEAD_GET_TAG and …_SET_TAG of <openssl/evp.h>. */
const getTag = 0x10;
const setTag = 0x11;
const tag_bytes = 16;
const digest_bytes = 32;
const hashBlock_bytes = 64;

function bind(): Evp | undefined {
  try {
    // Node offers OpenSSL's functions to native addons, whichever way it was linked.
    const node = koffi.load(null);
    return {
      mdNew: node.func('void *EVP_MD_CTX_new()'),
      mdFree: node.func('void EVP_MD_CTX_free(void *context)'),
      sha256: node.func('const void *EVP_sha256()'),
      digestInit: node.func('int EVP_DigestInit_ex(void *context, const void *type, void *engine)'),
      digestUpdate: node.func('int EVP_DigestUpdate(void *context, const void *bytes, size_t size)'),
      digestFinal: node.func('int EVP_DigestFinal_ex(void *context, void *into, void *size)'),
      mdCopy: node.func('int EVP_MD_CTX_copy_ex(void *to, const void *from)'),
      cipherNew: node.func('void *EVP_CIPHER_CTX_new()'),
      chacha20Poly1305: node.func('const void *EVP_chacha20_poly1305()'),
      cipherInit: node.func(
        'int EVP_CipherInit_ex(void *context, const void *type, void *engine, const void *key, const void *nonce, int encrypt)',
      ),
      cipherUpdate: node.func(
        'int EVP_CipherUpdate(void *context, void *into, void *size, const void *bytes, int length)',
      ),
      cipherFinal: node.func('int EVP_CipherFinal_ex(void *context, void *into, void *size)'),
      cipherControl: node.func('int EVP_CIPHER_CTX_ctrl(void *context, int command, int size, void *bytes)'),
    };
  } catch {
    return undefined;
  }
}

function ok(result: number): void {
  if (result !== 1) throw new Error('OpenSSL refuses');
}

/** HMAC-SHA256 under one key: what depends on the key alone is done once. */
export class KeyedHash {
  readonly #evp: Evp;
  readonly #inner: Pointer;
  readonly #outer: Pointer;
  readonly #context: Pointer;
  readonly #digest = Buffer.allocUnsafeSlow(digest_bytes);

  constructor(evp: Evp, key: Uint8Array) {
    this.#evp = evp;
    this.#context = evp.mdNew();
    this.#inner = this.#keyed(key, 0x36);
    this.#outer = this.#keyed(key, 0x5c);
  }

  #keyed(key: Uint8Array, padding: number): Pointer {
    if (key.length > hashBlock_bytes) throw new RangeError('a key is at most one block');
    const context = this.#evp.mdNew();
    const block = Buffer.alloc(hashBlock_bytes, padding);
    for (const [index, byte] of key.entries()) block[index]! ^= byte;
    ok(this.#evp.digestInit(context, this.#evp.sha256(), null));
    ok(this.#evp.digestUpdate(context, block, block.length));
    block.fill(0);
    return context;
  }

  /** 32 bytes, the caller's own. */
  digest(bytes: Uint8Array): Buffer {
    const evp = this.#evp;
    ok(evp.mdCopy(this.#context, this.#inner));
    ok(evp.digestUpdate(this.#context, bytes, bytes.length));
    ok(evp.digestFinal(this.#context, this.#digest, null));
    ok(evp.mdCopy(this.#context, this.#outer));
    ok(evp.digestUpdate(this.#context, this.#digest, digest_bytes));
    ok(evp.digestFinal(this.#context, this.#digest, null));
    return Buffer.from(this.#digest);
  }

  /** Not to be used any more; the memory that knew the key is wiped by OpenSSL. */
  free(): void {
    for (const context of [this.#inner, this.#outer, this.#context]) this.#evp.mdFree(context);
  }
}

/** ChaCha20-Poly1305, from memory to memory. */
export class ChaCha20Poly1305 {
  readonly #evp: Evp;
  readonly #context: Pointer;
  readonly #size = Buffer.alloc(4);
  readonly #tag = Buffer.alloc(tag_bytes);

  constructor(evp: Evp) {
    this.#evp = evp;
    this.#context = evp.cipherNew();
    ok(evp.cipherInit(this.#context, evp.chacha20Poly1305(), null, null, null, 1));
  }

  #begin(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, encrypt: number): void {
    if (key.length !== 32 || nonce.length !== 12) throw new RangeError('a key of 32 and a nonce of 12 bytes');
    ok(this.#evp.cipherInit(this.#context, null, null, key, nonce, encrypt));
    if (associated.length > 0)
      ok(this.#evp.cipherUpdate(this.#context, null, this.#size, associated, associated.length));
  }

  /** Ciphertext‖tag into `into`, which has room for 16 bytes more than `plain`. */
  seal(
    key: Uint8Array,
    nonce: Uint8Array,
    associated: Uint8Array,
    plain: Uint8Array,
    into: Uint8Array,
  ): void {
    this.#begin(key, nonce, associated, 1);
    if (plain.length > 0) ok(this.#evp.cipherUpdate(this.#context, into, this.#size, plain, plain.length));
    ok(this.#evp.cipherFinal(this.#context, this.#tag, this.#size));
    ok(this.#evp.cipherControl(this.#context, getTag, tag_bytes, this.#tag));
    into.set(this.#tag, plain.length);
  }

  /** False if anything does not fit; `into`, as long as the plain bytes at the least, is wiped then. */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    associated: Uint8Array,
    sealed: Uint8Array,
    into: Uint8Array,
  ): boolean {
    const plain_bytes = sealed.length - tag_bytes;
    this.#begin(key, nonce, associated, 0);
    this.#tag.set(sealed.subarray(plain_bytes));
    ok(this.#evp.cipherControl(this.#context, setTag, tag_bytes, this.#tag));
    if (plain_bytes > 0) ok(this.#evp.cipherUpdate(this.#context, into, this.#size, sealed, plain_bytes));
    if (this.#evp.cipherFinal(this.#context, this.#tag, this.#size) === 1) return true;
    into.fill(0, 0, plain_bytes);
    return false;
  }
}

interface Binding {
  readonly cipher: ChaCha20Poly1305;
  hashUnder(key: Uint8Array): KeyedHash;
}

let known: Binding | null | undefined;

/** Undefined where it cannot be used. */
export function openssl(): Binding | undefined {
  if (known === undefined) known = tried() ?? null;
  return known ?? undefined;
}

function tried(): Binding | undefined {
  const evp = bind();
  if (evp === undefined) return undefined;
  try {
    const binding = {
      cipher: new ChaCha20Poly1305(evp),
      hashUnder: (key: Uint8Array) => new KeyedHash(evp, key),
    };
    return isRight(binding) ? binding : undefined;
  } catch {
    return undefined;
  }
}

/** Whether it gives what node:crypto gives. */
function isRight({ cipher, hashUnder }: Binding): boolean {
  const key = Buffer.alloc(32, 7);
  const nonce = Buffer.alloc(12, 9);
  const plain = Buffer.alloc(200, 'known');
  const expected = createHmac('sha256', key).update(plain).digest();
  const hash = hashUnder(key);
  const digest = hash.digest(plain);
  hash.free();
  const reference = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: tag_bytes });
  reference.setAAD(nonce, { plaintextLength: plain.length });
  const ciphertext = Buffer.concat([reference.update(plain), reference.final()]);
  const sealed = Buffer.alloc(plain.length + tag_bytes);
  cipher.seal(key, nonce, nonce, plain, sealed);
  const opened = Buffer.alloc(plain.length);
  return (
    digest.equals(expected) &&
    sealed.equals(Buffer.concat([ciphertext, reference.getAuthTag()])) &&
    cipher.open(key, nonce, nonce, sealed, opened) &&
    opened.equals(plain)
  );
}
