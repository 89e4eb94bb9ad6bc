// Makes a repository with a long history of a large tree in minutes instead of a thousand backups, for measuring what grows
// with history: scripts/big-catalog. Everything goes through the project's own writers; but for one readable file, the packs
// are only named, not stored. No part of the tests.

import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { comparePaths } from '../../lib/bytes/path.js';
import { chunkId, objectHeader_bytes, sha256 } from '../../lib/crypto/index.js';
import { openRepository, type Repository } from '../../lib/repository/index.js';
import { loadConfiguration } from '../../lib/config/load.js';
import { CommitWriter } from '../../lib/manifest/commit.js';
import { walkTree } from '../../lib/catalog/changes.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import type { Entry, Row, VersionHeader } from '../../lib/manifest/types.js';
import { PackBuilder } from '../../lib/pack/encode.js';
import { packKey } from '../../lib/pack/names.js';
import { codecs, type ChunkId, type PackInfo, type PackName } from '../../lib/pack/types.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    files: { type: 'string', default: '1000000' },
    versions: { type: 'string', default: '1000' },
    password: { type: 'string' },
    checkpoint: { type: 'string', default: '0' },
  },
});
const [directory] = positionals;
const fileCount = Number(values.files);
const versionCount = Number(values.versions);
const checkpointAt = Number(values.checkpoint);
if (directory === undefined || !(fileCount >= 1) || !(versionCount >= 1) || fs.existsSync(directory)) {
  process.stderr.write(
    'usage: big-catalog DIRECTORY [--files N] [--versions N] [--password WORD] [--checkpoint VERSION]\n' +
      'makes DIRECTORY, which must not be there, and prints the configuration file\n',
  );
  process.exit(2);
}

const filesPerDirectory = 40;
const leavesPerDirectory = 50;
const chunksPerBlock = 64;
const chunksPerPack = 8192;
const hour_ns = 3_600_000_000_000n;
const start_ns = 1_700_000_000_000_000_000n;
const readable = { path: 'readme.txt', text: 'the one file that can be read\n' };
const words = [
  'main',
  'index',
  'notes',
  'report',
  'image',
  'photo',
  'draft',
  'letter',
  'data',
  'table',
  'test',
];
const extensions = ['txt', 'jpg', 'md', 'c', 'h', 'ts', 'json', 'pdf', 'html', 'png'];

function entryOf(fields: Partial<Entry> & Pick<Entry, 'type' | 'inode'>): Entry {
  return {
    mode: fields.type === 'directory' ? 0o755 : 0o644,
    uid: 1000,
    gid: 1000,
    mtime_ns: start_ns,
    ctime_ns: start_ns,
    device: 2049n,
    links: 1,
    size_bytes: 0,
    rdevMajor: 0,
    rdevMinor: 0,
    target: Buffer.alloc(0),
    xattrs: [],
    content: [],
    ...fields,
  };
}

/** Chunks that no store holds, in packs that are known by name only. */
class NamedPacks {
  #chunks: { id: ChunkId; size_bytes: number }[] = [];
  #count = 0;

  async chunk(seed: string, size_bytes: number, writer: CommitWriter): Promise<ChunkId> {
    const id = sha256(Buffer.from(seed)) as ChunkId;
    this.#chunks.push({ id, size_bytes });
    if (this.#chunks.length >= chunksPerPack) await this.flush(writer);
    return id;
  }

  async flush(writer: CommitWriter): Promise<void> {
    if (this.#chunks.length === 0) return;
    const blocks: PackInfo['blocks'][number][] = [];
    for (let at = 0; at < this.#chunks.length; at += chunksPerBlock) {
      const chunks = this.#chunks.slice(at, at + chunksPerBlock);
      const plain_bytes = chunks.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
      blocks.push({ chunks, plain_bytes, stored_bytes: Math.ceil(plain_bytes / 3) + 16, codec: codecs.zstd });
    }
    const name = sha256(Buffer.from(`pack ${this.#count++}`)).toString('hex') as PackName;
    const size_bytes = blocks.reduce((sum, block) => sum + block.stored_bytes, 4096);
    await writer.addPack({
      name,
      versionId: '',
      size_bytes,
      header: Buffer.alloc(objectHeader_bytes),
      blocks,
    });
    this.#chunks = [];
  }
}

/** Two levels, in the order of their paths; the files are in the lower ones. */
const directories: { readonly path: string; readonly leaf: number | undefined }[] = [];
const leafCount = Math.ceil(fileCount / filesPerDirectory);
for (let leaf = 0; leaf < leafCount; leaf++) {
  const above = `d${String(Math.floor(leaf / leavesPerDirectory)).padStart(4, '0')}`;
  if (leaf % leavesPerDirectory === 0) directories.push({ path: above, leaf: undefined });
  directories.push({ path: `${above}/part-${String(leaf % leavesPerDirectory).padStart(2, '0')}`, leaf });
}

/** Number and name of each file, in the order of the names. */
function filesOf(leaf: number): [number, string][] {
  const first = leaf * filesPerDirectory;
  return Array.from({ length: Math.min(filesPerDirectory, fileCount - first) }, (_, index) => first + index)
    .map((number): [number, string] => {
      const word = words[number % words.length]!;
      return [
        number,
        `${word}-${String(number).padStart(7, '0')}.${extensions[number % extensions.length]!}`,
      ];
    })
    .sort(([, a], [, b]) => (a < b ? -1 : 1));
}

async function fileEntry(
  packs: NamedPacks,
  writer: CommitWriter,
  number: number,
  version: number,
): Promise<Entry> {
  const size_bytes = 200 + ((number * 7919) % 5000);
  const time_ns = start_ns + BigInt(version) * hour_ns;
  const id = await packs.chunk(`${number} ${version}`, size_bytes, writer);
  return entryOf({
    type: 'file',
    inode: BigInt(100_000 + number),
    size_bytes,
    mtime_ns: time_ns,
    ctime_ns: time_ns,
    content: [{ kind: 'chunk', id, size_bytes }],
  });
}

/** Every row of version 1 in path order. */
async function* firstRows(
  packs: NamedPacks,
  writer: CommitWriter,
  readableEntry: Entry,
): AsyncGenerator<Row> {
  const added = (name: string, entry: Entry): Row => ({ op: 'added', path: Buffer.from(name), entry });
  yield added('', entryOf({ type: 'directory', inode: 2n }));
  for (const [index, { path: at, leaf }] of directories.entries()) {
    yield added(at, entryOf({ type: 'directory', inode: BigInt(10 + index) }));
    if (leaf === undefined) continue;
    for (const [number, name] of filesOf(leaf))
      yield added(`${at}/${name}`, await fileEntry(packs, writer, number, 1));
  }
  yield added(readable.path, readableEntry);
}

async function changeRows(packs: NamedPacks, writer: CommitWriter, version: number): Promise<Row[]> {
  const rows = new Map<string, Row>();
  for (let change = 0; change < 30; change++) {
    const { path: at, leaf } = directories[(version * 7919 + change * 104_729) % directories.length]!;
    if (leaf === undefined) continue;
    const files = filesOf(leaf);
    const [number, name] = files[(version * 31 + change) % files.length]!;
    const entry = await fileEntry(packs, writer, number, version);
    rows.set(`${at}/${name}`, { op: 'changed', path: Buffer.from(`${at}/${name}`), entry });
  }
  const added = `${directories.at(-1)!.path}/new-${String(version).padStart(6, '0')}.txt`;
  const entry = await fileEntry(packs, writer, fileCount + version, version);
  rows.set(added, { op: 'added', path: Buffer.from(added), entry });
  return [...rows.values()].sort((a, b) => comparePaths(a.path, b.path));
}

async function storeReadable(repository: Repository, writer: CommitWriter): Promise<Entry> {
  const plain = Buffer.from(readable.text);
  const id = chunkId(repository.context.keys, plain);
  const builder = new PackBuilder(repository.context);
  builder.addBlock(plain, [{ id, size_bytes: plain.length }]);
  const { bytes, info } = builder.finish(() => Buffer.alloc(0));
  const { versionId } = await repository.store.put(packKey(info.name), bytes);
  await writer.addPack({ ...info, versionId });
  return entryOf({
    type: 'file',
    inode: 3n,
    size_bytes: plain.length,
    content: [{ kind: 'chunk', id, size_bytes: plain.length }],
  });
}

function headerOf(
  repository: Repository,
  parent: { hash: string; versionId: string },
  sequence: number,
): VersionHeader {
  const time_ns = start_ns + BigInt(sequence) * hour_ns;
  return {
    stream: repository.streamId('big'),
    sequence,
    parentHash: parent.hash,
    parentVersionId: parent.versionId,
    run: sequence.toString(16).padStart(32, '0'),
    parentRun: sequence === 1 ? '' : (sequence - 1).toString(16).padStart(32, '0'),
    host: repository.host,
    source: 'big',
    sourcePath: Buffer.from('/big'),
    started_ns: time_ns,
    finished_ns: time_ns + 60_000_000_000n,
    program: 'rrbackup big-catalog',
    statistics: {
      files: fileCount,
      directories: directories.length,
      others: 0,
      bytes: fileCount * 2700,
      added: sequence === 1 ? fileCount : 1,
      changed: sequence === 1 ? 0 : 30,
      removed: 0,
      newBytes: 0,
      storedBytes: 0,
      unreadable: 0,
    },
    userNames: new Map([[1000, 'user']]),
    groupNames: new Map([[1000, 'user']]),
  };
}

function* treeRows(repository: Repository, sequence: number): Generator<Row> {
  const { catalog } = repository;
  const root = catalog.root(repository.streamId('big'), sequence);
  if (root === undefined) return;
  for (const { path: at, found } of walkTree(catalog, root, sequence))
    yield { op: 'added', path: at, entry: found.entry };
}

const work = path.resolve(directory);
fs.mkdirSync(work, { recursive: true });
const file = path.join(work, 'rrbackup.ini');
const lock = values.password === undefined ? 'encryption: none' : `crypt_password: ${values.password}`;
fs.writeFileSync(
  file,
  `[main]\nbase_path: ${work}/big\n${lock}\nlocal_manifest_file: ${work}/catalog.mdb\n[directory]\npath: ${work}/repository\n`,
  { mode: 0o600 },
);
fs.mkdirSync(path.join(work, 'big'));
const environment = { ...process.env, XDG_STATE_HOME: `${work}/state`, XDG_CACHE_HOME: `${work}/cache` };
const configuration = await loadConfiguration({
  file,
  environment,
  cwd: work,
  home: work,
  ask: undefined,
  signal: new AbortController().signal,
});
const repository = await openRepository(configuration, {
  access: 'write',
  create: 'if-new',
  note: () => undefined,
});
try {
  const stream = repository.streamId('big');
  const packs = new NamedPacks();
  let parent = { hash: '', versionId: '' };
  for (let sequence = 1; sequence <= versionCount; sequence++) {
    const writer = new CommitWriter({ ...repository.context, stream });
    if (sequence === 1) {
      const readableEntry = await storeReadable(repository, writer);
      for await (const row of firstRows(packs, writer, readableEntry)) await writer.addRow(row);
    } else for (const row of await changeRows(packs, writer, sequence)) await writer.addRow(row);
    await packs.flush(writer);
    parent = await writer.publish(headerOf(repository, parent, sequence));
    if (sequence === checkpointAt) {
      await repository.sync();
      const { catalog } = repository;
      const [newest] = catalog.versions(stream).slice(-1);
      await writeCheckpoint(repository.context, {
        commitHash: parent.hash,
        header: newest!.header,
        packs: catalog.packsOf(stream, sequence),
        rows: treeRows(repository, checkpointAt),
      });
    }
  }
  await repository.sync();
} finally {
  await repository.close();
}
process.stdout.write(
  `XDG_STATE_HOME=${work}/state XDG_CACHE_HOME=${work}/cache rrbackup -c ${file} mount MOUNTPOINT\n`,
);
