import t from 'tap';

import { createSlot, openSlot } from '../../lib/keys/slots.js';
import { altered, cheap, created, otherId, repositoryId, secret, slotFor } from './helpers.js';

const { id, bytes } = slotFor('correct horse');
const open = (changed: Buffer, password = 'correct horse') => openSlot(changed, password, repositoryId);
const kdf = JSON.parse(bytes.toString()).kdf as Record<string, unknown>;

t.test('opens with its password and no other', async (t) => {
  t.same(open(bytes), secret);
  for (const wrong of ['correct horse ', 'Correct horse', 'x'.repeat(1000)])
    t.equal(open(bytes, wrong), undefined);
  t.match(id, /^[0-9a-f]{16}$/);
  t.notOk(bytes.includes(secret) || bytes.includes(secret.toString('base64')));
});

t.test('two slots of one password share nothing', async (t) => {
  const one = JSON.parse(bytes.toString());
  const two = JSON.parse(slotFor('correct horse').bytes.toString());
  for (const name of ['slot', 'wrapped']) t.not(one[name], two[name]);
  t.not(one.kdf.salt, two.kdf.salt);
});

t.test('the default cost is 64 MiB and 2 passes', async (t) => {
  const slot = createSlot({ secret, password: 'p', repositoryId, name: 'me', created });
  t.match(JSON.parse(slot.bytes.toString()).kdf, {
    algorithm: 'argon2id13',
    ops: 2,
    memory_bytes: 67_108_864,
  });
  t.same(openSlot(slot.bytes, 'p', repositoryId), secret);
});

t.test('a slot written by format version 1 opens for ever', async (t) => {
  const golden = {
    format: 'rrbackup-key',
    version: 1,
    repository: '0123456789abcdef0123456789abcdef',
    slot: 'e25a53d663b8d41c',
    name: 'user@host',
    created: '2026-11-21T03:00:00Z',
    kdf: { algorithm: 'argon2id13', ops: 1, memory_bytes: 33554432, salt: 'PODnE33dW2Vn1GSrgElZHA==' },
    wrapped:
      'XxKQ48gPKT/RKZuKd88IuBqgVEHm3SoOoq+lE/ZxNtxmWi/xIANmftaMB4w0i8GPwe3Bcuu1KdC1U4PErl5MILEhvCpqRAtn',
  };
  t.same(openSlot(Buffer.from(JSON.stringify(golden)), 'golden password', repositoryId), secret);
});

t.test('a password is the same however its letters are composed', async (t) => {
  const slot = slotFor('caf\u00e9');
  t.same(openSlot(slot.bytes, 'cafe\u0301', repositoryId), secret);
});

t.test('an empty password is refused', async (t) => {
  t.throws(() => slotFor(''), { code: 'keys.empty_password', kind: 'usage' });
  t.throws(() => open(bytes, ''), { code: 'keys.empty_password', kind: 'usage' });
});

t.test('everything else in the file is bound to the wrapped secret', async (t) => {
  const wrapped = Buffer.from(JSON.parse(bytes.toString()).wrapped as string, 'base64');
  const changes: Record<string, unknown>[] = [
    { slot: '0'.repeat(16) },
    { name: 'root@host' },
    { created: '2026-11-21T03:00:01Z' },
    { kdf: { ...kdf, ops: 2 } },
    { kdf: { ...kdf, memory_bytes: 33 * 1024 * 1024 } },
    { kdf: { ...kdf, salt: Buffer.alloc(16).toString('base64') } },
  ];
  for (const byte of [0, 23, 24, 40, 55, 56, 71]) {
    const flipped = Buffer.from(wrapped);
    flipped[byte]! ^= 1;
    changes.push({ wrapped: flipped.toString('base64') });
  }
  for (const change of changes) t.equal(open(altered(bytes, change)), undefined, JSON.stringify(change));
  t.equal(openSlot(altered(bytes, { repository: otherId }), 'correct horse', otherId), undefined);
});

t.test('a slot of another repository is tampering', async (t) => {
  t.throws(() => openSlot(bytes, 'correct horse', otherId), {
    code: 'keys.other_repository',
    kind: 'tampered',
  });
});

t.test('parameters that are too weak or too much are refused before anything is allocated', async (t) => {
  const MiB = 1024 * 1024;
  const before_bytes = process.memoryUsage().rss;
  for (const weak of [
    { ops: 0 },
    { memory_bytes: 0 },
    { memory_bytes: 8 * 1024 },
    { memory_bytes: 32 * MiB - 1 },
  ])
    t.throws(() => open(altered(bytes, { kdf: { ...kdf, ...weak } })), {
      code: 'keys.weak_kdf',
      kind: 'tampered',
    });
  for (const huge of [
    { ops: 9 },
    { ops: 0xffff_ffff },
    { memory_bytes: 128 * MiB + 1 },
    { memory_bytes: 2 ** 52 },
  ])
    t.throws(() => open(altered(bytes, { kdf: { ...kdf, ...huge } })), {
      code: 'keys.huge_kdf',
      kind: 'tampered',
    });
  t.ok(process.memoryUsage().rss - before_bytes < 32 * MiB);
  t.throws(
    () =>
      createSlot({
        secret,
        password: 'p',
        repositoryId,
        name: 'me',
        created,
        kdf: { ...cheap, memory_bytes: MiB },
      }),
    { code: 'keys.weak_kdf' },
  );
});

t.test('what this program does not know was made by a newer one', async (t) => {
  for (const change of [
    { version: 2 },
    { extra: 1 },
    { kdf: { ...kdf, algorithm: 'argon3' } },
    { kdf: { ...kdf, lanes: 4 } },
  ])
    t.throws(
      () => open(altered(bytes, change)),
      { code: 'format.newer', kind: 'newer_format' },
      JSON.stringify(change),
    );
});

t.test('what is malformed is damaged', async (t) => {
  const changes = [
    { format: 'rrbackup' },
    { version: -1 },
    { slot: 'x' },
    { slot: '../../../../etc' },
    { name: '' },
    { name: 'a\u001b[2Jb' },
    { name: 'x'.repeat(201) },
    { name: 7 },
    { created: 'now' },
    { kdf: null },
    { kdf: [] },
    { kdf: { ...kdf, ops: 1.5 } },
    { kdf: { ...kdf, ops: '3' } },
    { kdf: { ...kdf, memory_bytes: -1 } },
    { kdf: { ...kdf, salt: 'AAAA' } },
    { wrapped: 'AAAA' },
    { wrapped: `${JSON.parse(bytes.toString()).wrapped as string}\n` },
    { wrapped: undefined },
  ];
  for (const change of changes)
    t.throws(
      () => open(altered(bytes, change)),
      { code: 'keys.damaged', kind: 'damaged' },
      JSON.stringify(change),
    );
  t.throws(() => open(Buffer.alloc(17_000, ' ')), { code: 'keys.damaged', kind: 'damaged' });
});

t.test('names are for people to read', async (t) => {
  for (const name of ['', 'x'.repeat(201), 'line\nbreak', '\u202eevil'])
    t.throws(() => createSlot({ secret, password: 'p', repositoryId, name, created, kdf: cheap }), {
      code: 'keys.bad_name',
      kind: 'usage',
    });
});
