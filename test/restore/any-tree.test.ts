// Generated trees: any names, kinds, holes, times and modes come back.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import fc from 'fast-check';
import { setModified } from '../../lib/posix/attributes.js';
import { makeNode } from '../../lib/posix/nodes.js';
import { restore } from '../../lib/restore/index.js';
import { runs } from '../runs.js';
import { describeTree, scratchDirectory } from '../trees.js';
import { MemoryRepository } from './memory-repository.js';

t.test('any tree comes back', async (t) => {
  const scratch = scratchDirectory(t);
  const name = fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => {
    // Any byte but '/' and NUL; not '.' and '..'.
    const raw = Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x5f : byte)));
    return raw.every((byte) => byte === 0x2e) ? Buffer.from('dots') : raw;
  });
  const node = fc.record({
    names: fc.array(name, { minLength: 1, maxLength: 4 }),
    kind: fc.constantFrom('file', 'directory', 'symlink', 'fifo', 'link'),
    content: fc.uint8Array({ maxLength: 40 }),
    hole: fc.nat(3 << 20),
    mtime_ns: fc.bigInt(-(10n ** 18n), 4n * 10n ** 18n),
    mode: fc.integer({ min: 0o400, max: 0o7777 }).map((mode) => mode | 0o700),
  });
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(node, { maxLength: 12 }), async (nodes) => {
      const root = path.join(scratch, `source ${++round}`);
      const target = path.join(scratch, `target ${round}`);
      fs.mkdirSync(root);
      let lastFile: Buffer | undefined;
      const made: { at: Buffer; mode: number; mtime_ns: bigint }[] = [];
      for (const { names, kind, content, hole, mtime_ns, mode } of nodes) {
        const at = Buffer.concat([Buffer.from(root), ...names.flatMap((part) => [Buffer.from('/'), part])]);
        try {
          fs.mkdirSync(at.subarray(0, at.lastIndexOf(0x2f)), { recursive: true });
          if (kind === 'directory') fs.mkdirSync(at);
          else if (kind === 'symlink') fs.symlinkSync(Buffer.concat([Buffer.from('x'), names[0]!]), at);
          else if (kind === 'fifo') makeNode(at, 'fifo');
          else if (kind === 'link' && lastFile) fs.linkSync(lastFile, at);
          else {
            fs.writeFileSync(at, content, { flag: 'wx' });
            if (hole > 1 << 20) fs.truncateSync(at, hole);
            lastFile = at;
          }
          made.push({ at, mode, mtime_ns });
        } catch {
          // Two of them want the same place; the first has it.
        }
      }
      for (const { at, mode, mtime_ns } of made.reverse()) {
        if (!fs.lstatSync(at).isSymbolicLink()) fs.chmodSync(at, mode);
        setModified(at, mtime_ns);
      }
      const repository = new MemoryRepository();
      repository.add(root, 1);
      await restore({ repository, stream: 's', sequence: 1, target, setuid: true });
      return describeTree(root).join('\n') === describeTree(target).join('\n');
    }),
    runs(60),
  );
});
