// The IAM policies of the README, tried on Ceph's policy engine: users of their own who may do what the policy of their role says.
// A policy is read out of the README, so that what stands there is what was tried.

import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import t from 'tap';
import { everythingIn, filesWith, formsOf } from '../secrets/watch.js';
import { isRoot } from '../trees.js';
import { s3Server, type S3Server } from '../s3-server.js';
import { newHome, type Home } from './cli.js';
import { clientOf, newUser, type User } from './s3-user.js';

const readme = fs.readFileSync(fileURLToPath(new URL('../../../README.md', import.meta.url)), 'utf8');
const roles = ['backup', 'restore', 'maintenance'] as const;
type Role = (typeof roles)[number];

interface Statement {
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: readonly string[];
  readonly Resource: string | readonly string[];
}

/** The JSON behind the role's heading. */
function policyOf(role: Role): readonly Statement[] {
  const text = new RegExp(`^\\*\\*Policy: ${role}\\*\\*[^]*?\`\`\`json\\n([^]*?)\`\`\``, 'm').exec(
    readme,
  )?.[1];
  return (JSON.parse(text ?? '{}') as { Statement: Statement[] }).Statement;
}

function configure(home: Home, server: S3Server, bucket: string, user: User): void {
  home.configure(
    `[main]\nbase_path: ${home.at('source')}\ncrypt_password: roles\nhost: here\n` +
      `[s3]\nbucket: ${bucket}\nendpoint: ${server.endpoint}\naccess_key: ${user.accessKey}\nsecret_key: ${user.secretKey}\n`,
  );
}

void t.test('a key for each role', { skip: !isRoot && 'needs root', timeout: 900_000 }, async (t) => {
  const server = await s3Server(t);
  if (server?.state === undefined) return t.comment('no Ceph of our own');
  const { state } = server;
  const bucket = await server.newBucket();
  const owner = clientOf(server, server);
  const users = {} as Record<Role, User>;
  for (const role of roles) users[role] = await newUser(state, `${role}${process.pid}`);
  const statements = roles.flatMap((role) =>
    policyOf(role).map(({ Effect, Action, Resource }) => ({
      Effect,
      Principal: { AWS: [`arn:aws:iam:::user/${role}${process.pid}`] },
      Action,
      Resource: [Resource].flat().map((name) => name.replace('my-backups', bucket)),
    })),
  );
  t.equal(statements.length > roles.length, true, 'the README has policies');
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: statements });
  await owner.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));

  const home = newHome(t);
  fs.mkdirSync(home.at('source'));
  fs.writeFileSync(home.at('source', 'a'), 'first\n');
  const use = (role: Role) => configure(home, server, bucket, users[role]);
  const { Versions: none } = await owner.send(new ListObjectVersionsCommand({ Bucket: bucket }));
  t.equal(none, undefined);
  use('maintenance');
  await home.ok('init');

  const stored = async (): Promise<{ Key: string; VersionId: string }[]> => {
    const { Versions = [] } = await owner.send(new ListObjectVersionsCommand({ Bucket: bucket }));
    return Versions.map(({ Key, VersionId }) => ({ Key: Key!, VersionId: VersionId! }));
  };
  const denied = { name: 'AccessDenied' };

  await t.test('backup only', async (t) => {
    use('backup');
    await home.ok('backup');
    fs.writeFileSync(home.at('source', 'a'), 'second\n');
    await home.ok('backup');
    t.match(await home.ok('versions'), /2/, 'versions are seen');
    const objects = await stored();
    const pack = objects.find(({ Key }) => Key.startsWith('packs/'))!;
    const client = clientOf(server, users.backup);
    for (const { Key, VersionId } of objects)
      await t.rejects(
        client.send(new DeleteObjectCommand({ Bucket: bucket, Key, VersionId })),
        denied,
        `no version is deleted: ${Key}`,
      );
    await t.rejects(
      client.send(new DeleteObjectCommand({ Bucket: bucket, Key: pack.Key })),
      denied,
      'nor hidden',
    );
    await t.rejects(
      client.send(new GetObjectCommand({ Bucket: bucket, ...pack })),
      denied,
      'no pack is read',
    );
    // What an interrupted run left is not looked into, and the backup goes on.
    const state = everythingIn(home.at('state')).find((file) => file.endsWith('.journal'))!;
    fs.appendFileSync(state, `${pack.Key.split('/').at(-1)!}\n`);
    fs.writeFileSync(home.at('source', 'a'), 'third\n');
    await home.ok('backup');
    const back = await home.rr('download', 'latest', home.at('stolen'));
    t.equal(back.status === 0, false, 'and nothing restored');
    t.notOk(fs.existsSync(home.at('stolen', 'a')) && fs.readFileSync(home.at('stolen', 'a')).length > 0);
  });

  await t.test('restore only', async (t) => {
    use('restore');
    await home.ok('download', 'latest', home.at('back'));
    t.equal(fs.readFileSync(home.at('back', 'a'), 'utf8'), 'third\n');
    fs.mkdirSync(home.at('mnt'));
    await home.ok('mount', home.at('mnt'));
    t.equal(await home.run('cat', home.at('mnt', 'source', 'current', 'a')), 'third\n');
    await home.ok('umount', home.at('mnt'));
    fs.writeFileSync(home.at('source', 'a'), 'fourth\n');
    const { status, stderr } = await home.rr('backup');
    t.equal(status, 15, 'no backup');
    t.match(stderr, /s3:PutObject/, 'with what was not allowed');
    const client = clientOf(server, users.restore);
    await t.rejects(client.send(new PutObjectCommand({ Bucket: bucket, Key: 'keys/x', Body: 'x' })), denied);
    const [first] = await stored();
    await t.rejects(client.send(new DeleteObjectCommand({ Bucket: bucket, ...first! })), denied);
  });

  await t.test('maintenance', async (t) => {
    use('maintenance');
    fs.writeFileSync(home.at('second password'), 'another\n', { mode: 0o600 });
    await home.ok('key', 'add', '--new-password-file', home.at('second password'));
    const slots = JSON.parse(await home.ok('key', 'list', '--json')) as { slot: string }[];
    t.equal(slots.length, 2);
    await home.ok('key', 'remove', slots[1]!.slot);
    t.equal(
      (await stored()).filter(({ Key }) => Key.startsWith('keys/')).length,
      1,
      'every version of it is gone',
    );
    await home.ok('backup');
  });

  t.strictSame(
    filesWith(formsOf(roles.map((role) => users[role].secretKey)), home.directory, [home.at('rrbackup.ini')]),
    [],
    'no secret key was left anywhere',
  );
  owner.destroy();
});
