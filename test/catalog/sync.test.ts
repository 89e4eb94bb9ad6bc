// Bringing the catalog up to date from a chain that is sound, and from one with lost log entries.

import path from 'node:path';

import t from 'tap';

import { openCatalog, syncCatalog } from '../../lib/catalog/index.js';
import type { SyncOptions } from '../../lib/catalog/sync.js';
import { damaged } from '../../lib/errors/index.js';
import {
  bytesOf,
  commitsOf,
  diff,
  directory,
  file,
  hashOf,
  headerOf,
  repositoryId,
  streamOf,
  type Tree,
} from './trees.js';

const stream = streamOf(1);
const trees = [1, 2, 3, 4, 5].map(
  (version): Tree =>
    new Map([
      ['', directory()],
      ['a', file(`a${version}`)],
      [`only ${version}`, file('x')],
    ]),
);
const commits = commitsOf(trees);

/** A chain without the commits in `lost`, with the checkpoints in `kept`. */
function chainOf(lost: number[], kept: number[], log: string[] = []): SyncOptions['chain'] {
  return {
    async streams() {
      return [stream];
    },
    async *commits(_stream, after) {
      log.push(`commits after ${after?.sequence ?? 0}`);
      for (const commit of commits.slice(after?.sequence ?? 0)) {
        if (lost.includes(commit.header.sequence))
          throw damaged('manifest.missing_commit', 'a commit is lost');
        yield commit;
      }
    },
    async checkpoints(_stream, from = 1) {
      return kept.filter((sequence) => sequence >= from);
    },
    async checkpoint(_stream, sequence) {
      return {
        stream,
        sequence,
        commitHash: hashOf(stream, sequence),
        header: headerOf(stream, sequence),
        parts: [],
        async *packs() {},
        async *rows() {
          yield* diff(new Map(), trees[sequence - 1]!);
        },
      };
    },
  };
}

async function synced(t: { testdir(): string; teardown(done: () => Promise<void>): void }) {
  const { catalog } = await openCatalog({ path: path.join(t.testdir(), 'catalog'), repositoryId });
  t.teardown(() => catalog.close());
  return catalog;
}

t.test('all versions, then only what is new', async (t) => {
  const catalog = await synced(t);
  const log: string[] = [];
  t.same(await syncCatalog({ catalog, chain: chainOf([], [], log), run: {} }), { ingested: 5 });
  t.same(await syncCatalog({ catalog, chain: chainOf([], [], log), run: {} }), { ingested: 0 });
  t.same(await syncCatalog({ catalog, chain: chainOf([], [], log), streams: [], run: {} }), { ingested: 0 });
  t.same(log, ['commits after 0', 'commits after 5']);
  t.equal(catalog.stream(stream)?.head, 5);
});

t.test('behind a lost commit the next checkpoint goes on, and that is said', async (t) => {
  const catalog = await synced(t);
  const warnings: string[] = [];
  const run = { onWarning: (message: string) => void warnings.push(message) };
  t.same(await syncCatalog({ catalog, chain: chainOf([2], [4]), run }), { ingested: 3 });
  t.same(
    catalog.versions(stream).map(({ header }) => header.sequence),
    [1, 4, 5],
  );
  t.match(warnings, [/versions 2 to 3 .*cannot be read/]);
  t.ok(catalog.find(stream, 4, bytesOf('only 4')));
  t.notOk(catalog.find(stream, 5, bytesOf('only 1')));
});

t.test('a lost commit without a checkpoint is an error; what came before it is there', async (t) => {
  const catalog = await synced(t);
  await t.rejects(syncCatalog({ catalog, chain: chainOf([3], [2]), run: {} }), {
    code: 'manifest.missing_commit',
  });
  t.equal(catalog.stream(stream)?.head, 2);
});

t.test('newest first: a stream that is not known begins with its newest checkpoint', async (t) => {
  const catalog = await synced(t);
  const log: string[] = [];
  const options = { catalog, run: {}, newestFirst: true };
  t.same(await syncCatalog({ ...options, chain: chainOf([], [1, 3, 4], log) }), { ingested: 2 });
  t.same(log, ['commits after 4']);
  t.match(catalog.stream(stream), { head: 5, firstSequence: 4, lacksPast: true });
  t.same(
    catalog.versions(stream).map(({ header }) => header.sequence),
    [4, 5],
  );
  t.same(await syncCatalog({ ...options, chain: chainOf([], [1, 3, 4, 5]) }), { ingested: 0 });
});

t.test('newest first: a checkpoint that cannot be read is no reason to fail', async (t) => {
  const broken = (kept: number[], unreadable: number[]): SyncOptions['chain'] => {
    const chain = chainOf([], kept);
    return {
      ...chain,
      async checkpoint(id, sequence) {
        const checkpoint = await chain.checkpoint(id, sequence);
        if (!unreadable.includes(sequence)) return checkpoint;
        return {
          ...checkpoint,
          async *rows() {
            yield* diff(new Map(), new Map([...trees[sequence - 1]!].slice(0, 2)));
            throw damaged('manifest.damaged', 'a part is lost');
          },
        };
      },
    };
  };
  const older = await synced(t);
  await syncCatalog({ catalog: older, chain: broken([2, 4], [4]), run: {}, newestFirst: true });
  t.match(older.stream(stream), { head: 5, firstSequence: 2, lacksPast: true });

  const none = (await openCatalog({ path: path.join(t.testdir(), 'none'), repositoryId, batch: 1 })).catalog;
  t.teardown(() => none.close());
  await syncCatalog({ catalog: none, chain: broken([2, 4], [2, 4]), run: {}, newestFirst: true });
  t.match(none.stream(stream), { head: 5, firstSequence: 1, lacksPast: false });
  t.equal(none.isUnheardOf(Buffer.from('system.posix_acl_access')), true);
  t.ok(none.find(stream, 1, bytesOf('only 1')));
  t.notOk(none.find(stream, 5, bytesOf('only 4')));

  const first = await synced(t);
  await syncCatalog({ catalog: first, chain: chainOf([], [1]), run: {}, newestFirst: true });
  t.match(first.stream(stream), { firstSequence: 1, lacksPast: false }, 'version 1 has nothing before it');
});

t.test('stops when it is asked to', async (t) => {
  const catalog = await synced(t);
  await t.rejects(syncCatalog({ catalog, chain: chainOf([], []), run: { signal: AbortSignal.abort() } }), {
    code: 'interrupted',
  });
});
