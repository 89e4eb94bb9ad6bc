import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
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
