// The expected values come from an independent implementation: Python's hashlib.blake2b (key, salt = subkey id, person =
// context, as libsodium documents crypto_kdf) and hmac.

import t from 'tap';

import {
  chunkId,
  cryptoReady,
  deriveKeys,
  expandGear,
  publicSecret,
  sha256,
  streamId,
} from '../../lib/crypto/index.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const secret = Uint8Array.from({ length: 32 }, (_, index) => index);
const repositoryId = '0123456789abcdef0123456789abcdef';

t.test('without cryptoReady nothing is derived', async (t) => {
  t.throws(() => deriveKeys(secret), /cryptoReady/);
});

t.test('one key per purpose, for ever the same', async (t) => {
  await cryptoReady();
  const keys = deriveKeys(secret);
  t.same(Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, hex(key as Uint8Array)])), {
    chunkId: '6f639d8203354d77492ebb4ba891e64d3038bde69200d7e096cd397b6db46968',
    gear: 'a27ab63113883b843b964fbafeca1f22c1fc7aac82ab30f810d0377da35b0c62',
    wrap: 'f027c4cf1e91963a91a012c168acbd5e267a269b9590b3ed322d999d3feeb669',
    stream: '8f6c009622d143c0886a03035e66066a947be1bc54653e8c05f5d1926e9316ed',
    descriptor: '2d708b8a2e1ebe4a640b5652ec58bd3aee23a0ab609c49c8abcb894a7592ee82',
  });
  t.same(structuredClone(keys), keys, 'may cross to a worker');
  t.throws(() => deriveKeys(secret.subarray(1)), RangeError);
});

t.test('ids of chunks and streams, and gear bytes', async (t) => {
  await cryptoReady();
  const keys = deriveKeys(secret);
  t.equal(
    hex(chunkId(keys, Buffer.from('hello'))),
    'ad5d38f77b277d3c9b321f7d073ca385ad168e62bc43c9fd921150d1d93f7ca1',
  );
  t.equal(streamId(keys, 'host', 'home'), 'bf64e9814adce80c4b16a929ef5a0a23');
  t.not(streamId(keys, 'hosth', 'ome'), streamId(keys, 'host', 'home'), 'no pair of names runs together');
  t.equal(expandGear(keys).length, 1024);
  t.equal(hex(sha256(expandGear(keys))), 'c344fe0f5b3dfe73e21e7a6dc647d4fe1cfc8ee54c59221c3d7bb15f69efb4d3');
});

t.test('the secret of an unencrypted repository', async (t) => {
  t.equal(
    hex(publicSecret(repositoryId)),
    '5e8ad1684d853a16d04ee5c8e44a5ce666b3d36d840f9d432b66682123fbce34',
  );
  for (const wrong of ['', 'xyz', repositoryId.toUpperCase(), `${repositoryId}00`])
    t.throws(() => publicSecret(wrong), RangeError);
});
