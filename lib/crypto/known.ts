// What libsodium gives for what is known: an implementation that is not of this program is held against it before it is used.
// A test holds these bytes against the WebAssembly build.

import { salt_bytes, type Sodium } from './sodium-types.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const key = Buffer.alloc(32, 7);
const nonce = Buffer.alloc(24, 9);
const associated = Buffer.from('associated');
const plain = Buffer.alloc(32, 5);

const subkey = '6cb9e34b4b715dea54217c0266d6d5b4a01930a7a03471722d2aa08738262b72';
const sealed =
  'bb77e78f79af7c67f1170d396d7602ee2ff6b29f456498e4a3881d59d623565e2afabe2e6d398e850b88654a900f2cb3';
const passwordKey = 'ff63885adc6d74c4fdf1c547f2eb20add0e5a2517e5459091a5d4871db4bd673';
/** The least that libsodium takes: a fraction of a millisecond. */
const cost = { ops: 1, memory_bytes: 8192 };

export const known = {
  isSubkey: (make: Sodium['subkey']): boolean => hex(make(3, 'rrbackup', key)) === subkey,
  isSealed: (seal: Sodium['seal']): boolean => hex(seal(key, nonce, associated, plain)) === sealed,
  isOpened: (open: Sodium['open']): boolean =>
    hex(open(key, nonce, associated, Buffer.from(sealed, 'hex')) ?? Buffer.alloc(0)) === hex(plain),
  isPasswordKey: (make: Sodium['passwordKey']): boolean =>
    hex(make(Buffer.from('known'), Buffer.alloc(salt_bytes, 3), cost)) === passwordKey,
} as const;
