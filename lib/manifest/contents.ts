// Writing and reading what commits and checkpoints contain. Parts are stored as they fill and fetched as they are needed, so
// that neither side holds more than a few of them. A part is content-addressed: racing writers cannot harm each other's.

import { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { sha256 } from '../crypto/index.js';
import { damaged, RrbackupError } from '../errors/index.js';
import { fetchExact } from '../pack/fetch.js';
import { naming, namingAsync } from '../pack/naming.js';
import { decodePackInfo, encodePackInfo, scanPackInfo, type FlatPackInfo } from '../pack/table.js';
import { comparePaths } from '../bytes/path.js';
import type { EncodedPackInfo, PackInfo } from '../pack/types.js';
import { manifestLimits, partMagic, partTypes, type PartType } from './layout.js';
import { partKey } from './names.js';
import { openObject, partBinding, sealObject, type ManifestContext } from './object.js';
import type { Contents } from './root.js';
import type { EncodedRows } from './row-stream.js';
import { badRow, checkRow, rowPieces, RowReader, RowWriter } from './rows.js';
import { StoredRowReader, type BatchShape, type StoredRows } from './stored-rows.js';
import type { PartReference, Row } from './types.js';

/** One list of parts in the making. */
class PartList {
  readonly #context: ManifestContext;
  readonly #stream: string;
  readonly #type: PartType;
  readonly #parts: Promise<PartReference>[] = [];
  payload = new ByteWriter();

  constructor(context: ManifestContext, stream: string, type: PartType) {
    this.#context = context;
    this.#stream = stream;
    this.#type = type;
  }

  get isFull(): boolean {
    return this.payload.length >= manifestLimits.part_bytes;
  }

  /** Begins to store the payload as a part, and waits for the one before, so that at most two are held. */
  async store(signal: AbortSignal | undefined): Promise<void> {
    const before = this.#parts.at(-1);
    const part = this.#put(this.payload.view(), signal);
    // Whoever adds next or finishes sees the error; until then it is nobody's.
    part.catch(() => undefined);
    this.#parts.push(part);
    this.payload = new ByteWriter();
    await before;
  }

  async #put(plain: Uint8Array, signal: AbortSignal | undefined): Promise<PartReference> {
    const { bytes, hash } = sealObject(
      this.#context,
      partMagic,
      partBinding(this.#stream, this.#type),
      plain,
    );
    const call = signal === undefined ? {} : { signal };
    const { versionId } = await this.#context.store.put(partKey(this.#stream, hash), bytes, call);
    return { hash, size_bytes: bytes.length, versionId };
  }

  /** The stored parts, and what is small enough to stand in the root. */
  async finish(signal: AbortSignal | undefined): Promise<{ parts: PartReference[]; inline: Buffer }> {
    if (this.payload.length > manifestLimits.inline_bytes) await this.store(signal);
    return { parts: await Promise.all(this.#parts), inline: this.payload.view() };
  }
}

/** Rows in path order, each awaited before the next; packs in any order and at any time. */
export class ContentsWriter {
  readonly #packs: PartList;
  readonly #rows: PartList;
  readonly #signal: AbortSignal | undefined;
  #rowWriter: RowWriter;
  #before: Uint8Array | undefined;
  #rowCount = 0;
  #packCount = 0;

  constructor(context: ManifestContext, stream: string, signal?: AbortSignal) {
    this.#packs = new PartList(context, stream, partTypes.packs);
    this.#rows = new PartList(context, stream, partTypes.rows);
    this.#rowWriter = new RowWriter(this.#rows.payload);
    this.#signal = signal;
  }

  get rowCount(): number {
    return this.#rowCount;
  }

  get packCount(): number {
    return this.#packCount;
  }

  /** Throws 'manifest.bad_row' for one out of order, 'manifest.entry_too_large', and what the store throws. */
  async addRow(row: Row): Promise<void> {
    this.#before = checkRow(row, this.#before);
    this.#rowCount++;
    for (const piece of rowPieces(row)) {
      this.#rowWriter.add(piece);
      if (this.#rows.isFull) await this.#storeRows();
    }
  }

  #storeRows(): Promise<void> {
    const stored = this.#rows.store(this.#signal);
    this.#rowWriter = new RowWriter(this.#rows.payload);
    return stored;
  }

  /** Rows that are encoded already. Waits where a part is full. */
  async addEncodedRows({ bytes, count, first, last }: EncodedRows): Promise<void> {
    if (this.#before !== undefined && comparePaths(this.#before, first) >= 0)
      throw badRow('it is out of order');
    this.#before = last;
    this.#rowCount += count;
    this.#rows.payload.raw(bytes);
    // Whoever writes next knows nothing of the path before: front coding begins anew.
    if (this.#rows.isFull) await this.#storeRows();
    else this.#rowWriter = new RowWriter(this.#rows.payload);
  }

  async addPack(info: PackInfo | EncodedPackInfo): Promise<void> {
    this.#packCount++;
    encodePackInfo(this.#packs.payload, info);
    if (this.#packs.isFull) await this.#packs.store(this.#signal);
  }

  /** Every part is stored when it settles. */
  async finish(): Promise<Contents> {
    const [packs, rows] = await Promise.all([
      this.#packs.finish(this.#signal),
      this.#rows.finish(this.#signal),
    ]);
    return {
      packParts: packs.parts,
      rowParts: rows.parts,
      inlinePacks: packs.inline,
      inlineRows: rows.inline,
    };
  }
}

/** Whose contents are read. */
export interface ContentsOwner {
  readonly context: ManifestContext;
  readonly stream: string;
  /** For errors: 'version 7 of stream …'. */
  readonly what: string;
  readonly signal: AbortSignal | undefined;
}

/** What is missing, cut short or changed is damage: 'manifest.damaged'. */
async function readPart(owner: ContentsOwner, type: PartType, part: PartReference): Promise<Buffer> {
  const { context, stream, signal } = owner;
  const { hash, size_bytes, versionId } = part;
  const what = `${owner.what}, part ${hash}`;
  const range = { offset: 0, length: size_bytes };
  const bytes = await namingAsync('manifest.damaged', what, async () => {
    try {
      return await fetchExact(context.store, partKey(stream, hash), { versionId, range, signal });
    } catch (error) {
      if (!(error instanceof RrbackupError) || error.code !== 'store.missing') throw error;
      throw damaged('manifest.damaged', error.message, error);
    }
  });
  if (sha256(bytes).toString('hex') !== hash)
    throw damaged('manifest.damaged', `${what} has other bytes than it should`);
  return openObject(context, partMagic, partBinding(stream, type), bytes, what);
}

/** The payloads in order, the next part on its way while one is used. */
async function* payloads(
  owner: ContentsOwner,
  type: PartType,
  parts: readonly PartReference[],
  inline: Uint8Array,
): AsyncGenerator<Uint8Array> {
  const begin = (index: number) => {
    const part = parts[index];
    const reading = part === undefined ? undefined : readPart(owner, type, part);
    // It is awaited below unless the reader stops early; then nobody wants its error.
    reading?.catch(() => undefined);
    return reading;
  };
  let reading = begin(0);
  for (let index = 0; reading !== undefined; index++) {
    const payload = await reading;
    reading = begin(index + 1);
    yield payload;
  }
  if (inline.length > 0) yield inline;
}

export async function* readPacks(owner: ContentsOwner, contents: Contents): AsyncGenerator<PackInfo> {
  yield* packsOf(owner, contents, decodePackInfo);
}

/** The same without an object for every chunk. */
export async function* readStoredPacks(
  owner: ContentsOwner,
  contents: Contents,
): AsyncGenerator<FlatPackInfo> {
  yield* packsOf(owner, contents, scanPackInfo);
}

async function* packsOf<T>(
  owner: ContentsOwner,
  { packParts, inlinePacks }: Contents,
  decode: (reader: ByteReader, what: string) => T,
): AsyncGenerator<T> {
  for await (const payload of payloads(owner, partTypes.packs, packParts, inlinePacks)) {
    const reader = new ByteReader(payload, 'its table of packs');
    while (reader.remaining > 0)
      yield naming('manifest.damaged', owner.what, () => decode(reader, 'its table of packs'));
  }
}

/** What is wrong with one of them is wrong with the object. */
function* namingEach<T>(what: string, items: Iterator<T>): Generator<T> {
  for (;;) {
    const next = naming('manifest.damaged', what, () => items.next());
    if (next.done === true) return;
    yield next.value;
  }
}

export async function* readRows(owner: ContentsOwner, contents: Contents): AsyncGenerator<Row> {
  const { rowParts, inlineRows } = contents;
  const reader = new RowReader('its table of rows');
  for await (const payload of payloads(owner, partTypes.rows, rowParts, inlineRows))
    yield* namingEach(owner.what, reader.read(payload));
  naming('manifest.damaged', owner.what, () => {
    reader.end();
  });
}

export async function* readStoredRows(
  owner: ContentsOwner,
  contents: Contents,
  shape: BatchShape,
): AsyncGenerator<StoredRows> {
  const { rowParts, inlineRows } = contents;
  const reader = new StoredRowReader('its table of rows', shape);
  for await (const payload of payloads(owner, partTypes.rows, rowParts, inlineRows))
    yield* namingEach(owner.what, reader.read(payload));
  naming('manifest.damaged', owner.what, () => {
    reader.end();
  });
}
