// Whether everything is there that the versions need, and, if asked for, whether every byte of it is what it should be; where not,
// which versions and files that hurts. Reads the store and changes nothing in it. What is stored is never taken from the
// catalog: that one only says which files need a chunk, once its versions and packs have been found to be the history's.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Catalog, openCatalog, syncCatalog } from '../catalog/index.js';
import { missingRanges, toRanges, type VersionRange } from '../catalog/version-ranges.js';
import { RrbackupError } from '../errors/index.js';
import { versionsInPart } from '../manifest/in-part.js';
import { parsePackKey } from '../pack/index.js';
import type { PackName } from '../pack/types.js';
import type { Run } from '../progress.js';
import { isGap } from '../repository/alarm.js';
import type { Repository } from '../repository/index.js';
import { Suspects } from '../repository/suspects.js';
import { chainOf, type History, HistoryCheck, isDamage } from './check-history.js';
import { callOf, Inventory } from './check-inventory.js';
import { checkKeys } from './check-keys.js';
import { type NamedPack, PackLedger, tellPack } from './check-packs.js';
import { type BadBlocks, FileSearch } from './findings-files.js';
import { type Finding, Findings, type HurtFile, type Remedy } from './findings.js';
import { checkReadData, choosePacks, type ReadData, selectionName } from './verify-selection.js';
import { VerifyJournal } from './verify-journal.js';
import { verifyPacks } from './verify.js';

export interface CheckOptions extends Run {
  /** Trust nothing that this machine remembers: the history is read anew, and an interrupted pass begins anew. */
  readonly fresh?: boolean;
  /** Verify every byte of the manifest and of these packs. */
  readonly readData?: ReadData | undefined;
  /** Called at once with each of the first thousand findings. */
  onFinding?(finding: Finding): void;
  /** Something that was done on the way and that the user should know. */
  note?(message: string): void;
}

export interface CheckedStream {
  readonly id: string;
  readonly host: string;
  readonly source: string;
  /** The newest version that the store shows or this machine has seen. */
  readonly newest: number;
  /** Versions that cannot be read at all. */
  readonly lost: readonly VersionRange[];
  /** Versions that were recovered in part: entries may be missing in them, or stand as they were before. */
  readonly inPart: readonly VersionRange[];
  /** Versions in which some files cannot be read, and how many files that are in any of them. */
  readonly hurt: readonly VersionRange[];
  readonly hurtFiles: number;
}

/** What is stored and no version needs: no damage. */
export interface Unneeded {
  /** Of interrupted backups, or of one that is under way; and whatever only lost versions need. */
  readonly packs: number;
  readonly packs_bytes: number;
  /** Objects under streams/. */
  readonly manifest: number;
  /** Keys that no rrbackup made; the first few. */
  readonly foreign: readonly string[];
  readonly foreignCount: number;
  /** Stored over, or under, what is needed. */
  readonly furtherVersions: number;
}

export interface CheckResult {
  /** 'tampered': the store shows another history than this machine has seen, or two. */
  readonly verdict: 'fine' | 'damaged' | 'tampered';
  readonly streams: readonly CheckedStream[];
  /** Packs that the history names. */
  readonly packs: number;
  readonly packs_bytes: number;
  /** Packs that were read whole; `before`: by the interrupted pass that this one went on with. */
  readonly read: { readonly packs: number; readonly bytes: number; readonly before: number };
  /** The first thousand of each; the counts are of all. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
  readonly files: readonly HurtFile[];
  readonly fileCount: number;
  /** What is lost and made up for, by other packs or a checkpoint: no damage. */
  readonly mended: readonly Finding[];
  readonly mendedCount: number;
  /** What to do now, in this order. */
  readonly remedies: readonly Remedy[];
  /** Of every damaged pack the blocks that cannot be had; none where only what is around them is damaged. */
  readonly bad: ReadonlyMap<PackName, BadBlocks>;
  /** Checkpoints that cannot be read whole, by stream. */
  readonly badCheckpoints: ReadonlyMap<string, readonly number[]>;
  /** Whether every byte of the packs and of the manifest was read. */
  readonly readsAll: boolean;
  readonly unneeded: Unneeded;
  /** Objects that stand under another version id than the one that was written down, as in a store that was copied. */
  readonly copied: number;
}

/**
 * Open the repository with `sync: false`: a history that this machine does not believe is a finding here. Throws what keeps it
 * from finishing (kinds store, interrupted, newer_format, …) and 'usage' for an impossible `readData`; what it has found until then
 * has been told to `onFinding`.
 */
export async function check(repository: Repository, options: CheckOptions = {}): Promise<CheckResult> {
  if (options.readData !== undefined) checkReadData(options.readData);
  return new Check(repository, options).run();
}

const namedForeign = 10;

class Check {
  readonly #repository: Repository;
  readonly #options: CheckOptions;
  readonly #findings: Findings;
  readonly #bad = new Map<PackName, BadBlocks>();
  readonly #histories = new Map<string, History>();
  readonly #suspects: Suspects;
  #read = { packs: 0, bytes: 0, before: 0 };

  constructor(repository: Repository, options: CheckOptions) {
    this.#repository = repository;
    this.#options = options;
    this.#findings = new Findings((finding) => options.onFinding?.(finding));
    this.#suspects = new Suspects(repository.state);
  }

  async run(): Promise<CheckResult> {
    const repository = this.#repository;
    const inventory = await Inventory.take(repository.store, this.#options, (pack) =>
      repository.catalog.hasPack(pack),
    );
    await checkKeys(repository, inventory, this.#findings, this.#options);
    const own = await this.#ownCatalog();
    const packs = new PackLedger(inventory, own);
    await this.#readHistories(inventory, packs);
    if (this.#findings.hasManifest) this.#suspects.addManifest();
    if (own !== undefined && (await this.#isOfHistory(own, packs)))
      return this.#withCatalog(own, packs, inventory);
    if (own !== undefined)
      this.#options.note?.(
        'the catalog of this machine is not used, because it does not say what is stored: the history is read anew',
      );
    return this.#withFreshCatalog((catalog) => this.#withCatalog(catalog, packs, inventory));
  }

  /** The catalog of this machine as it is up to date; undefined where it is not to be used. */
  async #ownCatalog(): Promise<Catalog | undefined> {
    if (this.#options.fresh === true) return undefined;
    try {
      await this.#repository.sync(this.#quietRun);
      return this.#repository.catalog;
    } catch (error) {
      // What is wrong with the history is found out by reading it.
      if (error instanceof RrbackupError && ['damaged', 'tampered', 'busy'].includes(error.kind))
        return undefined;
      throw error;
    }
  }

  /** Warnings of those that read the history are findings here. */
  get #quietRun(): Run {
    const { signal, onProgress } = this.#options;
    return { ...(signal && { signal }), ...(onProgress && { onProgress }) };
  }

  async #readHistories(inventory: Inventory, packs: PackLedger): Promise<void> {
    const { chain, state } = this.#repository;
    const pins = state.recall()?.pins ?? {};
    const readsRows = this.#readsManifest;
    const run = this.#options;
    for (const stream of new Set([...(await chain.streams(callOf(run))), ...Object.keys(pins)])) {
      const options = { chain, inventory, packs, findings: this.#findings, readsRows, run };
      const history = await new HistoryCheck(options, stream).run();
      const pin = pins[stream];
      if (history.newest === 0 && (pin?.sequence ?? 0) === 0) continue;
      this.#histories.set(stream, { ...history, newest: Math.max(history.newest, pin?.sequence ?? 0) });
      if (pin !== undefined) this.#holdAgainst(pin, history);
    }
  }

  get #readsManifest(): boolean {
    const { fresh, readData } = this.#options;
    return fresh === true || readData !== undefined || this.#suspects.hasManifest;
  }

  /** What this machine has seen must still be there. */
  #holdAgainst(pin: { sequence: number; hash: string }, { stream, readable, newest }: History): void {
    const hash = readable.get(pin.sequence);
    // A version that is lost with others behind it has been told as that.
    if (hash === pin.hash || pin.sequence === 0 || (hash === undefined && pin.sequence <= newest)) return;
    const what = `version ${pin.sequence} of ${this.#name(stream)}, which this machine has seen,`;
    this.#findings.add(
      hash === undefined
        ? { code: 'history.rolled_back', message: `${what} is gone from the store` }
        : { code: 'history.forked', message: `${what} is not the one that the store shows now` },
    );
  }

  #name(stream: string): string {
    const { host, source } = this.#namesOf(stream);
    return source === '' ? `stream ${stream}` : `'${source}' of ${host}`;
  }

  #namesOf(stream: string): { host: string; source: string } {
    const { host, source } = this.#histories.get(stream)?.header ??
      this.#repository.catalog.stream(stream) ?? { host: '', source: '' };
    return { host, source };
  }

  /** Whether a catalog has the versions and packs of the history and no others. */
  async #isOfHistory(catalog: Catalog, packs: PackLedger): Promise<boolean> {
    // A backup may have gone on since.
    if (!packs.agrees(catalog)) await this.#ownCatalog();
    if (!packs.agrees(catalog)) return false;
    return (
      catalog.streams().every(({ id }) => this.#histories.has(id)) &&
      [...this.#histories.values()].every(({ stream, readable, newest }) => {
        const versions = catalog.versions(stream).filter(({ header }) => header.sequence <= newest);
        return (
          versions.length === readable.size &&
          versions.every(({ header, hash }) => readable.get(header.sequence) === hash)
        );
      })
    );
  }

  async #withFreshCatalog<T>(work: (catalog: Catalog) => Promise<T>): Promise<T> {
    const { id: repositoryId, chain } = this.#repository;
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-check-'));
    const { catalog } = await openCatalog({ path: path.join(scratch, 'catalog.mdb'), repositoryId });
    try {
      for (const history of this.#histories.values()) {
        const streams = [history.stream];
        try {
          await syncCatalog({
            catalog,
            chain: chainOf(chain, this.#histories),
            streams,
            run: this.#quietRun,
          });
        } catch (error) {
          if (!isGap(error) && !isDamage(error)) throw error;
        }
        this.#takeLost(catalog, history);
      }
      return await work(catalog);
    } finally {
      await catalog.close();
      fs.rmSync(scratch, { recursive: true, force: true });
    }
  }

  /** Versions whose log holds together and that no catalog can take in all the same. */
  #takeLost(catalog: Catalog, history: History): void {
    const { stream, readable } = history;
    const there = new Set(catalog.versions(stream).map(({ header }) => header.sequence));
    const lost = [...readable.keys()].filter((sequence) => !there.has(sequence));
    if (lost.length === 0) return;
    this.#findings.add({
      code: 'commit.damaged',
      message: `version ${lost[0]!} of ${this.#name(stream)} cannot be taken in, nor those that build upon it`,
    });
    const left = new Map([...readable].filter(([sequence]) => there.has(sequence)));
    this.#histories.set(stream, { ...history, readable: left });
  }

  async #withCatalog(catalog: Catalog, packs: PackLedger, inventory: Inventory): Promise<CheckResult> {
    for (const name of packs.missing()) {
      this.#bad.set(name, 'all');
      const finding = { name, code: 'pack.missing', message: `the pack ${name} is missing` } as const;
      tellPack(this.#findings, catalog, finding, 'all');
    }
    await this.#readPacks(catalog, [...packs.stored()]);
    this.#suspects.settle({ manifest: this.#readsManifest, pack: (name) => packs.has(name) });
    const readable = new Map(
      [...this.#histories].map(([stream, history]) => [stream, toRanges(history.readable.keys())]),
    );
    const hurt = await new FileSearch(catalog, this.#bad, readable).run(this.#options);
    if (hurt.withoutPack > 0)
      this.#findings.add({
        code: 'chunk.missing',
        message: `${hurt.withoutPack} files need contents that no pack holds`,
      });
    const streams = [...this.#histories.values()].map(({ stream, newest }) => ({
      id: stream,
      ...this.#namesOf(stream),
      newest,
      lost: missingRanges(readable.get(stream)!, newest),
      inPart: toRanges(versionsInPart(catalog.versions(stream).map(({ header }) => header))),
      hurt: hurt.streams.get(stream)?.versions ?? [],
      hurtFiles: hurt.streams.get(stream)?.files ?? 0,
    }));
    const findings = this.#findings;
    return {
      verdict: findings.isTampered ? 'tampered' : findings.count > 0 ? 'damaged' : 'fine',
      streams,
      packs: packs.count,
      packs_bytes: packs.named_bytes,
      read: this.#read,
      findings: findings.kept,
      findingCount: findings.count,
      files: hurt.named,
      fileCount: hurt.count,
      mended: findings.mended,
      mendedCount: findings.mendedCount,
      remedies: this.#suspects.isKept ? findings.remedies : findings.remedies.map(withoutMemory),
      bad: this.#bad,
      badCheckpoints: new Map(
        [...this.#histories].map(([stream, { badCheckpoints }]) => [stream, badCheckpoints]),
      ),
      readsAll: isWhole(this.#options.readData),
      unneeded: unneeded(inventory),
      copied: inventory.others,
    };
  }

  /** Those that were asked for, and whatever cannot be what it should be: only its bytes say which files that hurts. */
  async #readPacks(catalog: Catalog, stored: readonly NamedPack[]): Promise<void> {
    const { readData, fresh, note, onWarning } = this.#options;
    const remembered = this.#suspects.packs;
    const isSuspect = ({ name, stored_bytes, size_bytes }: NamedPack): boolean =>
      stored_bytes !== size_bytes || remembered.has(name);
    const suspects = stored.filter(isSuspect);
    if (readData === undefined) {
      this.#read = { ...(await this.#verify(catalog, suspects)), before: 0 };
      return;
    }
    const { state, clock } = this.#repository;
    const journal = new VerifyJournal({
      directory: state.directory,
      selection: selectionName(readData),
      now_ns: clock.now_ns(),
      startsAnew: fresh === true,
      ...(onWarning && { onWarning }),
    });
    const sound = stored.filter((pack) => !isSuspect(pack));
    const chosen = choosePacks(sound, readData, journal.seed);
    const left = chosen.filter(({ name }) => !journal.has(name));
    const before = chosen.length - left.length;
    if (before > 0) {
      const began = new Date(Number(journal.began_ns / 1_000_000n)).toISOString();
      note?.(
        `going on with the check that began at ${began}: ${before} of ${chosen.length} packs were in order; ` +
          'with --fresh they are read again',
      );
    }
    const read = await this.#verify(catalog, [...suspects, ...left], (name) => journal.add(name));
    journal.finish();
    this.#read = { ...read, before };
  }

  #verify(catalog: Catalog, packs: readonly NamedPack[], onGood?: (name: PackName) => void) {
    const repository = this.#repository;
    const [findings, bad, run] = [this.#findings, this.#bad, this.#options];
    const onDamaged = (name: PackName): void => this.#suspects.add(name);
    return verifyPacks(packs, {
      repository,
      catalog,
      findings,
      bad,
      run,
      onDamaged,
      ...(onGood && { onGood }),
    });
  }
}

const isWhole = (readData: ReadData | undefined): boolean =>
  readData !== undefined && ('percent' in readData ? readData.percent === 100 : readData.of === 1);

/** Where the next command does not know what was found, it has to read everything again. */
const withoutMemory = (remedy: Remedy): Remedy => (remedy === 'repair' ? 'repair --read-data' : remedy);

function unneeded(inventory: Inventory): Unneeded {
  const foreign: string[] = [];
  let [packs, packs_bytes, manifest, foreignCount] = [0, 0, 0, 0];
  for (const { key, size_bytes } of inventory.unneeded()) {
    if (parsePackKey(key) !== undefined) {
      packs++;
      packs_bytes += size_bytes;
    } else if (key.startsWith('streams/')) manifest++;
    else if (foreignCount++ < namedForeign) foreign.push(key);
  }
  const { furtherVersions } = inventory;
  return { packs, packs_bytes, manifest, foreign, foreignCount, furtherVersions };
}
