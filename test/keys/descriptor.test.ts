import fc from 'fast-check';
import t from 'tap';

import { deriveKeys } from '../../lib/crypto/index.js';
import { encodeDescriptor, parseDescriptor, verifyDescriptor } from '../../lib/keys/descriptor.js';
import { altered, created, keys, otherId, repositoryId } from './helpers.js';
import { runs } from '../runs.js';

const fields = {
  repository: repositoryId,
  encryption: 'password',
  conditionalCreate: true,
  created,
} as const;
const bytes = encodeDescriptor(fields, keys);

t.test('round trip', async (t) => {
  const descriptor = parseDescriptor(bytes);
  t.match(descriptor, fields);
  verifyDescriptor(descriptor, keys);
});

t.test('the bytes are those of format version 1', async (t) => {
  t.equal(
    bytes.toString(),
    `{
  "format": "rrbackup",
  "version": 1,
  "repository": "0123456789abcdef0123456789abcdef",
  "encryption": "password",
  "conditional_create": true,
  "created": "2026-11-21T03:00:00Z",
  "mac": "a4066268aed648666a1f67402a688380148e6a787c8dd92d0e25cad81b04f5ef"
}
`,
  );
});

t.test('a change of any field, and the keys of another repository, are tampering', async (t) => {
  const changes = {
    repository: otherId,
    encryption: 'none',
    conditional_create: false,
    created: '2026-11-21T03:00:01Z',
  };
  for (const [name, value] of Object.entries({ ...changes, mac: '0'.repeat(64) }))
    t.throws(
      () => verifyDescriptor(parseDescriptor(altered(bytes, { [name]: value })), keys),
      { code: 'keys.descriptor_tampered', kind: 'tampered' },
      name,
    );
  t.throws(() => verifyDescriptor(parseDescriptor(bytes), deriveKeys(Buffer.alloc(32))), {
    code: 'keys.descriptor_tampered',
    kind: 'tampered',
  });
});

t.test('what this program does not know was made by a newer one', async (t) => {
  for (const change of [
    { version: 2 },
    { version: 99, anything: 1 },
    { encryption: 'sealed' },
    { extra: true },
  ])
    t.throws(() => parseDescriptor(altered(bytes, change)), { code: 'format.newer', kind: 'newer_format' });
  t.throws(() => parseDescriptor(Buffer.from(bytes.toString().replace('{', '{"__proto__":{},'))), {
    code: 'format.newer',
    kind: 'newer_format',
  });
});

t.test('what is malformed is damaged', async (t) => {
  const changes = [
    { format: 'other' },
    { format: undefined },
    { version: 0 },
    { version: '1' },
    { version: 1.5 },
    { repository: 'abc' },
    { repository: repositoryId.toUpperCase() },
    { repository: undefined },
    { encryption: 1 },
    { conditional_create: 'true' },
    { created: 'yesterday' },
    { created: `${created}\u001b[0m` },
    { mac: 'zz' },
    { mac: undefined },
  ];
  for (const change of changes)
    t.throws(
      () => parseDescriptor(altered(bytes, change)),
      { code: 'keys.damaged', kind: 'damaged' },
      JSON.stringify(change),
    );
  for (const text of ['', 'x', '[]', 'null', '1', '"rrbackup"', ' '.repeat(17_000)])
    t.throws(() => parseDescriptor(Buffer.from(text)), { code: 'keys.damaged', kind: 'damaged' });
  t.throws(() => parseDescriptor(Buffer.from([0x22, 0xff, 0x22])), { code: 'keys.damaged', kind: 'damaged' });
  for (let length = 0; length < bytes.length - 1; length++)
    t.throws(() => parseDescriptor(bytes.subarray(0, length)), { code: 'keys.damaged', kind: 'damaged' });
});

t.test('fuzzed descriptors are refused with an error of their own', async () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      try {
        parseDescriptor(Buffer.from(text));
      } catch (error) {
        return ['damaged', 'newer_format'].includes((error as { kind: string }).kind);
      }
      return false;
    }),
    runs(500),
  );
});
