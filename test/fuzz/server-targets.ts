// Readers of what comes over a line: requests of the kernel to a mount, answers of an S3 server.

import { createServer, type AddressInfo } from 'node:net';
import { Session } from '../../lib/mount/drivers/session.js';
import { Tree } from '../../lib/mount/tree/index.js';
import { S3Store } from '../../lib/store/s3/index.js';
import { directory, TestRepository } from '../mount/repository.js';
import type { OpenTarget } from './target.js';

const longestErrno = 133;

const version_ns = 1_795_230_000_000_000_000n;

/** The tree that requests of the corpus are about. */
export async function mountedTree(scratch: string): Promise<{ repository: TestRepository; tree: Tree }> {
  const repository = await TestRepository.create(scratch);
  await repository.commit('here', 'docs', version_ns, {
    file: { content: ['text', 4096, 'more'], xattrs: { 'user.a': 'value' }, mtime_ns: -1n },
    d: directory,
    'd/e': 'x',
    link: { type: 'symlink', target: 'file' },
  });
  return { repository, tree: new Tree(repository.catalog, { host: 'here', owner: { uid: 0, gid: 0 } }) };
}

export async function mountTarget(scratch: string): Promise<OpenTarget> {
  const { repository, tree } = await mountedTree(scratch);
  const warnings: string[] = [];
  const sessions = [false, true].map(
    (checkAccess) =>
      new Session({
        tree,
        checkAccess,
        onWarning: (message) => warnings.push(message),
        onInit: () => undefined,
      }),
  );
  return {
    name: 'fuse',
    allocated_bytes: 16 * 2 ** 20,
    read: (input) => {
      const endings = sessions.map((session) => {
        session.isForMain(input);
        const outcome = session.answer(input);
        // What ends in EIO was an exception inside.
        if (warnings.length > 0) throw new Error(warnings.splice(0).join());
        if (outcome.kind !== 'reply') return outcome.kind;
        const { bytes } = outcome;
        const error = -bytes.readInt32LE(4);
        if (bytes.readUInt32LE(0) !== bytes.length) throw new Error('a reply of another length');
        if (error < 0 || error > longestErrno) throw new Error(`a reply with error ${error}`);
        return `reply ${error} ${input.length < 8 ? 0 : input.readUInt32LE(4)}`;
      });
      return endings[0]!;
    },
    close: () => repository.catalog.close(),
  };
}

/** Byte 0 chooses what is asked; then the answer as it goes over the line. */
export async function s3Target(): Promise<OpenTarget> {
  let answer: Buffer = Buffer.alloc(0);
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const newStore = (): S3Store =>
    new S3Store(
      {
        kind: 's3',
        bucket: 'bucket',
        prefix: '',
        endpoint: `http://127.0.0.1:${port}`,
        accessKey: 'AKIDTEST',
        secretKey: 'the-secret',
      },
      { timeouts: { idle_ms: 2000, connect_ms: 2000 } },
    );
  const store = newStore();
  const questions: readonly (() => Promise<unknown>)[] = [
    async () => {
      for await (const { key, versionId, size_bytes, modified_ms } of store.list('k')) {
        const isRight = typeof key === 'string' && typeof versionId === 'string';
        if (!isRight || !Number.isFinite(size_bytes) || Number.isNaN(modified_ms))
          throw new Error('an odd object');
      }
    },
    () => store.get('key', { range: { offset: 0, length: 4 } }),
    () => store.get('key'),
    () => store.stat('key'),
    () => store.listPrefixes('streams/'),
    () => store.put('key', Buffer.from('x')),
    () => store.prepare({ note: () => undefined }),
    () => store.remove('key', 'v1'),
  ];
  return {
    name: 's3-answer',
    kinds: ['store', 'not_found', 'damaged', 'failure'],
    share: 40,
    read: async (input) => {
      answer = input.subarray(1);
      await questions[(input[0] ?? 0) % questions.length]!();
    },
    close: async () => {
      await store.close();
      server.close();
    },
  };
}
