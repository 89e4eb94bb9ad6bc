// The packs that the history names, and whether the store lists them as they are named. Whether the catalog of this machine says
// the same of each is noted on the way, and what is wrong with one is told when the catalog to ask is known. Reads no pack.

import type { Catalog } from '../catalog/index.js';
import { RrbackupError } from '../errors/index.js';
import { packKey } from '../pack/index.js';
import type { FlatPackInfo } from '../pack/table.js';
import type { PackName } from '../pack/types.js';
import type { Inventory, Look } from './check-inventory.js';
import { withoutHealed } from '../repository/damage.js';
import type { BadBlocks } from './findings-files.js';
import type { FindingCode, Findings } from './findings.js';

/** A pack that the store has. */
export interface NamedPack {
  readonly name: PackName;
  readonly versionId: string;
  /** As it was named. */
  readonly size_bytes: number;
  /** As it is stored; less or more is suspect. */
  readonly stored_bytes: number;
}

export class PackLedger {
  readonly #inventory: Inventory;
  readonly #catalog: Catalog | undefined;
  readonly #packs = new Map<PackName, NamedPack | undefined>();
  #named_bytes = 0;
  /** Packs that were not in the catalog when the history named them. */
  readonly #unknown: PackName[] = [];
  #contradicts = false;

  /** `catalog`: the one of this machine, if it is to be compared. */
  constructor(inventory: Inventory, catalog: Catalog | undefined) {
    this.#inventory = inventory;
    this.#catalog = catalog;
  }

  has(name: PackName): boolean {
    return this.#packs.has(name);
  }

  get count(): number {
    return this.#packs.size;
  }

  get named_bytes(): number {
    return this.#named_bytes;
  }

  /** Those that the store has. */
  *stored(): Generator<NamedPack, void, undefined> {
    for (const pack of this.#packs.values()) if (pack !== undefined) yield pack;
  }

  *missing(): Generator<PackName, void, undefined> {
    for (const [name, pack] of this.#packs) if (pack === undefined) yield name;
  }

  /** Whether the catalog has every pack as the history names it. */
  agrees(catalog: Catalog): boolean {
    return !this.#contradicts && this.#unknown.every((name) => catalog.hasPack(name));
  }

  async add(info: FlatPackInfo): Promise<void> {
    this.#compare(info);
    const { name, versionId, size_bytes } = info;
    if (this.#packs.has(name)) return;
    // Before anything is waited for: a pack is looked at once.
    this.#packs.set(name, undefined);
    this.#named_bytes += size_bytes;
    const look = await this.#inventory.look({ key: packKey(name), versionId, size_bytes });
    if (look.state !== 'missing')
      this.#packs.set(name, { name, versionId, size_bytes, stored_bytes: look.stored_bytes });
  }

  #compare(info: FlatPackInfo): void {
    if (this.#catalog === undefined || this.#contradicts) return;
    try {
      const known = this.#catalog.flatPack(info.name);
      if (known === undefined) this.#unknown.push(info.name);
      else if (known.size_bytes !== info.size_bytes || !tableOf(known).equals(tableOf(info)))
        this.#contradicts = true;
    } catch (error) {
      if (!(error instanceof RrbackupError) || error.code !== 'catalog.damaged') throw error;
      this.#contradicts = true;
    }
  }
}

/**
 * Tells of a pack of which these blocks cannot be had, or where they all can, what is around them: no damage where all that it
 * is about lies in other packs, too. Returns whether it is damage.
 */
export function tellPack(
  findings: Findings,
  catalog: Catalog,
  { name, code, message }: { name: PackName; code: FindingCode; message: string },
  bad: BadBlocks,
): boolean {
  const finding = { code, message, object: packKey(name) };
  // Without its end a pack does not say any more what it holds: only a copy of the whole is as good.
  const missed = bad === 'all' || bad.size > 0 ? bad : 'all';
  const isMended = withoutHealed(new Map([[name, missed]]), catalog).size === 0;
  if (isMended)
    findings.addMended({ ...finding, message: `${message}; all that it held lies in other packs` });
  else findings.add(finding);
  return !isMended;
}

/** Object header and blocks: all but under which version id it was found. */
function tableOf({ bytes, header }: FlatPackInfo): Buffer {
  return bytes.subarray(header.byteOffset - bytes.byteOffset);
}

export function otherSize({ stored_bytes }: Pick<Look, 'stored_bytes'>, named_bytes: number): string {
  return `has ${stored_bytes} bytes instead of ${named_bytes}`;
}
