import t from 'tap';

import { equalSecrets, hmacSha256, randomBytes, sha256, wipe } from '../../lib/crypto/index.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

t.test('SHA-256: the examples of FIPS 180-4', async (t) => {
  t.equal(
    hex(sha256(Buffer.from('abc'))),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
  t.equal(hex(sha256(Buffer.alloc(0))), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

t.test('HMAC-SHA-256: RFC 4231, test cases 1, 2, 3, 6 and 7', async (t) => {
  const long =
    'This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.';
  const cases: [Buffer, Buffer, string][] = [
    [
      Buffer.alloc(20, 0x0b),
      Buffer.from('Hi There'),
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    ],
    [
      Buffer.from('Jefe'),
      Buffer.from('what do ya want for nothing?'),
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    ],
    [
      Buffer.alloc(20, 0xaa),
      Buffer.alloc(50, 0xdd),
      '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
    ],
    [
      Buffer.alloc(131, 0xaa),
      Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First'),
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    ],
    [
      Buffer.alloc(131, 0xaa),
      Buffer.from(long),
      '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
    ],
  ];
  for (const [key, data, expected] of cases) t.equal(hex(hmacSha256(key, data)), expected);
});

t.test('small things', async (t) => {
  t.equal(randomBytes(24).length, 24);
  t.not(hex(randomBytes(24)), hex(randomBytes(24)));
  t.ok(equalSecrets(Buffer.from('ab'), Buffer.from('ab')));
  t.notOk(equalSecrets(Buffer.from('ab'), Buffer.from('ac')));
  t.notOk(equalSecrets(Buffer.from('ab'), Buffer.from('abc')));
  const secret = Buffer.from('secret');
  wipe(secret);
  t.same(secret, Buffer.alloc(6));
});
