import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { RrbackupError } from '../../lib/errors/index.js';
import { blankEntry } from '../../lib/manifest/types.js';
import { ContentReplies } from '../../lib/mount/drivers/content-replies.js';
import { errno } from '../../lib/mount/protocol/constants.js';
import { entryNode } from '../../lib/mount/tree/node.js';
import { scratchDirectory } from '../trees.js';

void t.test(
  'a reader hears of the error also where nothing can be found out about the file',
  async (test) => {
    const device = join(scratchDirectory(test), 'device');
    const warnings: string[] = [];
    const damaged = (): never => {
      throw new Error('the catalog cannot be read');
    };
    const replies = new ContentReplies({
      device: openSync(device, 'w'),
      session: {
        answer: () => ({ kind: 'read', unique: 42n, node: entryNode(7), offset: 0, size_bytes: 4 }),
      },
      catalog: { entryById: damaged, placeOf: damaged, directoryPlace: damaged },
      content: { read: damaged },
      onWarning: (message) => warnings.push(message),
    });
    await replies.handle(Buffer.alloc(0));
    const reply = readFileSync(device);
    test.equal(reply.readInt32LE(4), -errno.EIO);
    test.equal(reply.readBigUInt64LE(8), 42n);
    test.strictSame(warnings, ['a file cannot be read: the catalog cannot be read']);
    test.equal(replies.pending, 0);
  },
);

void t.test(
  'where stored data is damaged the log says which versions have it, and what to do',
  async (test) => {
    const device = openSync(join(scratchDirectory(test), 'device'), 'w');
    for (const [from, to, versions] of [
      [3, 8, 'versions 3-7'],
      [3, 4, 'version 3'],
      [3, Infinity, 'version 3 and later'],
    ] as const) {
      const warnings: string[] = [];
      const state = {
        name: Buffer.from('a.txt'),
        id: 7,
        directory: undefined,
        from,
        to,
        entry: { ...blankEntry, type: 'file' as const },
      };
      const replies = new ContentReplies({
        device,
        session: {
          answer: () => ({ kind: 'read', unique: 42n, node: entryNode(7), offset: 0, size_bytes: 4 }),
        },
        catalog: {
          entryById: () => state,
          placeOf: () => ({ directory: 1, name: state.name }),
          directoryPlace: (directory) =>
            directory === 1 ? { directory: 2, name: Buffer.from('letters') } : undefined,
        },
        content: {
          read: () => {
            throw new RrbackupError({ code: 'pack.damaged', kind: 'damaged', message: 'pack x is damaged' });
          },
        },
        onWarning: (message) => warnings.push(message),
      });
      await replies.handle(Buffer.alloc(0));
      test.strictSame(warnings, [
        `letters/a.txt cannot be read: pack x is damaged (in ${versions}); to heal it: rrbackup repair --read-data`,
      ]);
    }
  },
);
