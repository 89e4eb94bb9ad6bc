// What the corpus begins with where it is text, and requests of the kernel.

import { opcodes } from '../../lib/mount/protocol/constants.js';
import type { Tree } from '../../lib/mount/tree/index.js';
import { nodeNumber, rootNode, type NodeId } from '../../lib/mount/tree/node.js';

const hash = 'ab'.repeat(32);
const stream = 'aa'.repeat(16);

/** By target. */
export const texts: Readonly<Record<string, readonly string[]>> = {
  state: [
    `{"location":"/x","repositoryId":"${'0f'.repeat(16)}","encryption":"password","pins":{"${stream}":{"sequence":12,"hash":"${hash}"}}}`,
    `{"location":"/x","repositoryId":"${'0f'.repeat(16)}","encryption":"none","pins":{}}`,
  ],
  'state-journal': [`${hash}\n${'cd'.repeat(32)}\n`, '12\n'],
  'restore-journal': [
    `{"subject":"${hash}","claims":[{"from_ns":"1","until_ns":"1700000000000000000","before":"612f62"},{"from_ns":"2","until_ns":"3","before":""}]}\nrest`,
  ],
  configuration: [
    `[main]
base_path: ~/Documents
crypt_password: a long = password; really
host: here
cache_size: 500M
commit_locked: no
exclude =
    *.tmp
    /Cache/*

    !/Cache/keep
[s3]
bucket = bucket
prefix = a/b
endpoint = https://s3.example.org
access_key = AK
secret_key = SK
path_style = yes
storage_class = STANDARD_IA
region = eu-central-1
`,
    `\ufeff; a comment
[main]
encryption = none
local_manifest_file = catalog.mdb
[directory]
path = /backups
[source photos]
path = ~/Pictures
one_file_system = yes
exclude_caches = on
exclude_file = rules
  more rules
`,
    '[main]\npassword_command = pass show x\n[source a]\npath=/a\n[directory]\npath=../r\n',
  ],
  exclude: [
    '*.tmp\n/Cache/*\n!/Cache/keep\n# none\n\\#file\n\0Cache/keep',
    '**/node_modules\nbuild/\na/**/b\n[a-z]?.[!o]\n\\!x \\ \n\0a/c/d/b',
    'foo[[:alpha:]]*\n*.{a,b}\n+(x)\n^$.|\n\0foo1',
  ],
  'xattr-list': ['user.a\0user.b\0security.selinux\0', 'system.posix_acl_access\0'],
  mountinfo: [
    '36 35 98:0 / / rw,noatime shared:1 - ext4 /dev/root rw\n37 36 0:44 / /mnt/a\\040b ro,nosuid - fuse.rrbackup rrbackup ro\n',
    '25 30 0:23 / /sys rw - sysfs sysfs rw\nx - \n\\777 - - a',
  ],
};

const response = (status: string, headers: readonly string[], body: string): string =>
  [
    `HTTP/1.1 ${status}`,
    'x-amz-request-id: tx1',
    ...headers,
    `content-length: ${body.length}`,
    '',
    body,
  ].join('\r\n');

const xml = (body: string): string => `<?xml version="1.0" encoding="UTF-8"?>${body}`;
const version = (key: string): string =>
  `<Version><Key>${key}</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest><LastModified>2026-11-21T03:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>434</Size><StorageClass>STANDARD</StorageClass></Version>`;
const listing = (inside: string): string =>
  xml(
    `<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix>k</Prefix>${inside}</ListVersionsResult>`,
  );
const error = (status: string, code: string): string =>
  response(
    status,
    ['content-type: application/xml'],
    xml(`<Error><Code>${code}</Code><Message>text</Message></Error>`),
  );

/** Byte 0 says which question was asked. */
export const httpAnswers: readonly Buffer[] = [
  `0${response('200 OK', ['content-type: application/xml'], listing(`<IsTruncated>false</IsTruncated>${version('k1')}${version('k&amp;2')}<DeleteMarker><Key>k3</Key><VersionId>v2</VersionId></DeleteMarker>`))}`,
  `0${response('200 OK', [], listing(`<IsTruncated>true</IsTruncated><NextKeyMarker>k1</NextKeyMarker><NextVersionIdMarker>v1</NextVersionIdMarker>${version('k1')}`))}`,
  `1${response('206 Partial Content', ['x-amz-version-id: v1', 'content-range: bytes 0-3/10'], 'abcd')}`,
  `2${response('200 OK', ['x-amz-version-id: v1'], 'abcdefgh')}`,
  `3HTTP/1.1 200 OK\r\nx-amz-request-id: tx1\r\nx-amz-version-id: v1\r\nlast-modified: Sat, 21 Nov 2026 03:00:00 GMT\r\ncontent-length: 77\r\n\r\n`,
  `4${response('200 OK', [], listing('<Delimiter>/</Delimiter><CommonPrefixes><Prefix>streams/a/</Prefix></CommonPrefixes><IsTruncated>false</IsTruncated>'))}`,
  `5${response('200 OK', ['etag: "e"', 'x-amz-version-id: v1'], '')}`,
  `6${response('200 OK', [], xml('<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>'))}`,
  `7${response('204 No Content', [], '')}`,
  `1${error('404 Not Found', 'NoSuchKey')}`,
  `0${error('403 Forbidden', 'AccessDenied')}`,
  `5${error('503 Slow Down', 'SlowDown')}`,
  `2HTTP/1.1 301 Moved\r\nx-amz-bucket-region: eu-west-9\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
].map((text) => Buffer.from(text));

const inHeader_bytes = 40;

function request(opcode: number, node: NodeId, body: Buffer): Buffer {
  const header = Buffer.alloc(inHeader_bytes);
  header.writeUInt32LE(inHeader_bytes + body.length, 0);
  header.writeUInt32LE(opcode, 4);
  header.writeBigUInt64LE(42n, 8);
  header.writeBigUInt64LE(nodeNumber(node), 16);
  return Buffer.concat([header, body]);
}

const words = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
  return bytes;
};
const named = (name: string, before: Buffer = Buffer.alloc(0)): Buffer =>
  Buffer.concat([before, Buffer.from(`${name}\0`)]);

/** One of each kind that is answered, about every kind of node. */
export function fuseRequests(tree: Tree): Buffer[] {
  const below = (...names: string[]): NodeId =>
    names.reduce((parent, name) => tree.lookup(parent, Buffer.from(name))!.node, rootNode);
  const version = below('docs', '2026-11-21T03-00-00Z');
  const file = tree.lookup(version, Buffer.from('file'))!.node;
  const link = tree.lookup(version, Buffer.from('link'))!.node;
  const read = words(0, 0, 0, 0, 4096, 0, 0, 0, 0, 0);
  return [
    request(opcodes.INIT, rootNode, words(7, 38, 131072, 0x73ff_fffb)),
    request(opcodes.LOOKUP, rootNode, named('docs')),
    request(opcodes.LOOKUP, version, named('file')),
    request(opcodes.LOOKUP, below('docs', 'history'), named('file')),
    request(opcodes.LOOKUP, below('hosts'), named('here')),
    request(opcodes.GETATTR, file, words(0, 0, 0, 0)),
    request(opcodes.READLINK, link, Buffer.alloc(0)),
    request(opcodes.READLINK, below('docs', 'current'), Buffer.alloc(0)),
    request(opcodes.READ, file, read),
    request(opcodes.READDIR, version, read),
    request(opcodes.READDIRPLUS, version, read),
    request(opcodes.READDIRPLUS, below('docs'), read),
    request(opcodes.GETXATTR, file, named('user.a', words(0, 0))),
    request(opcodes.LISTXATTR, file, words(256, 0)),
    request(opcodes.LSEEK, file, words(0, 0, 0, 0, 3, 0)),
    request(opcodes.STATFS, rootNode, Buffer.alloc(0)),
    request(opcodes.FORGET, file, words(1, 0)),
    request(opcodes.BATCH_FORGET, rootNode, words(2, 0, 5, 0, 1, 0, 6, 0, 1, 0)),
    request(opcodes.INTERRUPT, rootNode, words(42, 0)),
  ];
}
