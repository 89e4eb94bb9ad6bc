// Reads very large files as a backup's main thread and workers do together, all in this thread.

import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { dirname } from 'node:path';
import type { Test } from 'tap';
import { joinPath } from '../../lib/bytes/path.js';
import { BigFileWork } from '../../lib/backup/big-file-work.js';
import { readBigFile, type BigFileResult } from '../../lib/backup/big-file.js';
import { window_bytes } from '../../lib/backup/file-reader.js';
import type { BigFile, WorkerRequest, WorkerResponse } from '../../lib/backup/messages.js';
import type { PackMaker } from '../../lib/backup/pack-maker.js';
import { seenOf } from '../../lib/backup/same-state.js';
import { Cutter } from '../../lib/chunking/index.js';
import { chunkId, expandGear } from '../../lib/crypto/index.js';
import type { Entry } from '../../lib/manifest/types.js';
import { type HeldRoot, holdRoot, OpenDirectory, ReadBuffer } from '../../lib/posix/directory.js';
import { FileStatus } from '../../lib/posix/status.js';
import { packContext } from '../pack/fixture.js';

const MiB = 1024 * 1024;
const nothing = Buffer.alloc(0);
export const { keys } = await packContext();

/** The work of all workers, done in this thread: what would be stored is remembered. */
export class Reading {
  readonly root: string;
  readonly stored = new Map<string, Buffer>();
  /** What a run stores that nobody has yet. */
  newBytes = 0;
  /** Called before each request. */
  onAsk: (request: WorkerRequest) => void = () => undefined;
  /** Called between listing and opening. */
  beforeOpen: () => void = () => undefined;
  readonly #work: BigFileWork;
  readonly #held: HeldRoot;

  constructor(root: string) {
    this.root = root;
    this.#held = holdRoot(Buffer.from(root)).root;
    const cutter = new Cutter(expandGear(keys), window_bytes);
    const packs = {
      store: (plain: Buffer) => {
        const id = chunkId(keys, plain);
        if (!this.stored.has(id.toString('hex'))) {
          this.stored.set(id.toString('hex'), Buffer.from(plain));
          this.newBytes += plain.length;
        }
        return { id, size_bytes: plain.length, own: undefined };
      },
    } as unknown as PackMaker;
    this.#work = new BigFileWork({ keys, cutter, window: new ReadBuffer(cutter.window), packs });
  }

  #answer(request: WorkerRequest): Partial<WorkerResponse> {
    switch (request.kind) {
      case 'cut':
        return { cuts: this.#work.cut(request.fd, request.range, request.meet) };
      case 'identify':
        return { isSame: this.#work.identify(request.fd, request.ranges, request.ids) };
      case 'store':
        return { ids: this.#work.store(request.fd, request.ranges) };
      default:
        throw new Error(`nobody asks for ${request.kind}`);
    }
  }

  async read(name: string, previous?: Entry, width = 4): Promise<BigFileResult> {
    this.newBytes = 0;
    const root = this.#held;
    const status = new FileStatus();
    const parent = name.includes('/') ? Buffer.from(dirname(name)) : nothing;
    new OpenDirectory(root, parent, status).close();
    const within = seenOf(status);
    this.beforeOpen();
    const file: BigFile = { path: Buffer.from(name), within, previous, isAdded: previous === undefined };
    return readBigFile(
      {
        root,
        width,
        hasChunk: (id) => this.stored.has(Buffer.from(id).toString('hex')),
        ask: async (request) => {
          await Promise.resolve();
          this.onAsk(request);
          return { ...this.#answer(request), newBytes: 0, storedBytes: 0 };
        },
      },
      file,
    );
  }

  /** The file's entry, whose content is what stands on the disk. */
  async entry(t: Test, name: string, previous?: Entry): Promise<Entry> {
    const result = await this.read(name, previous);
    if ('reason' in result) throw new Error(result.reason);
    t.ok(result.isStable);
    t.equal(this.sumOf(result.entry), sumOfFile(this.path(name)), 'the same content');
    return result.entry;
  }

  sumOf({ content }: Entry): string {
    const hash = createHash('sha256');
    for (const segment of content) {
      if (segment.kind === 'chunk') hash.update(this.stored.get(Buffer.from(segment.id).toString('hex'))!);
      else
        for (let left = segment.size_bytes; left > 0; left -= zeros.length)
          hash.update(zeros.subarray(0, Math.min(left, zeros.length)));
    }
    return hash.digest('hex');
  }

  path(name: string): string {
    return joinPath(Buffer.from(this.root), Buffer.from(name)).toString();
  }
}

const zeros = Buffer.alloc(MiB);

export function sumOfFile(path: string): string {
  const hash = createHash('sha256');
  const fd = fs.openSync(path, 'r');
  const buffer = Buffer.alloc(MiB);
  for (let count = 1; count > 0;) {
    count = fs.readSync(fd, buffer);
    hash.update(buffer.subarray(0, count));
  }
  fs.closeSync(fd);
  return hash.digest('hex');
}
