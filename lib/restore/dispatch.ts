// Hands requests to the threads, with the blocks that they need, and keeps the number of those under way bounded. A block that
// no thread could read is fetched here, and the request made again.

import { interrupted } from '../errors/index.js';
import type { ChunkPlace } from '../pack/types.js';
import type { Supplier } from './fetch.js';
import { limits } from './limits.js';
import type { EntriesRequest, EntriesResponse, PieceRequest, PieceResponse, Supply } from './messages.js';
import type { Runner } from './runner.js';

export interface DispatcherOptions {
  readonly runner: Runner;
  readonly supplier: Supplier;
  /** The threads cannot read blocks themselves. */
  readonly mustFetch: boolean;
  readonly stop: Int32Array;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #limit: number;
  readonly #slots = new Set<number>();
  #underway = 0;
  #attended = 0;
  #waiting: (() => void)[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    const ahead = options.mustFetch ? limits.fetchesAhead : limits.requestsAhead;
    this.#limit = options.runner.size + ahead;
  }

  get isIdle(): boolean {
    return this.#underway + this.#attended === 0;
  }

  /** Throws what ended the restore. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** The first failure counts; whatever is under way comes to its end soon. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    Atomics.store(this.#options.stop, 0, 1);
    this.#wake();
  }

  /** Resolves when something has changed: work is done, or has failed. */
  async change(): Promise<void> {
    this.check();
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.check();
  }

  /** Resolves when there is room for one more request. */
  async room(): Promise<void> {
    this.check();
    while (this.#underway >= this.#limit) await this.change();
  }

  /** Resolves when nothing is under way, however that came. */
  async idle(): Promise<void> {
    while (!this.isIdle) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** One request, for which there is room: counts until it settles. What it throws ends the restore. */
  start(work: () => Promise<void>): void {
    this.#underway++;
    void this.#watch(work).finally(() => {
      this.#underway--;
      this.#wake();
    });
  }

  /** Work that makes requests of its own. What it throws ends the restore. */
  attend(work: () => Promise<void>): void {
    this.#attended++;
    void this.#watch(work).finally(() => {
      this.#attended--;
      this.#wake();
    });
  }

  async #watch(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.fail(error);
    }
  }

  /** A number that nobody else has until it is given back. */
  takeSlot(): number {
    let slot = 0;
    while (this.#slots.has(slot)) slot++;
    this.#slots.add(slot);
    return slot;
  }

  freeSlot(slot: number): void {
    this.#slots.delete(slot);
  }

  /** `blocks`: what the threads would have to fetch. What they still cannot read comes back as unread. */
  async entries(
    request: Omit<EntriesRequest, 'supply'>,
    blocks: readonly ChunkPlace[],
  ): Promise<EntriesResponse> {
    return this.#run<EntriesResponse>({ ...request, supply: await this.#supply(blocks) });
  }

  /** For blocks that nobody could read: with their bytes after all, or with the reason. */
  async repairedEntries(
    request: Omit<EntriesRequest, 'supply'>,
    blocks: readonly ChunkPlace[],
  ): Promise<EntriesResponse> {
    return this.#run<EntriesResponse>({ ...request, supply: await this.#options.supplier.repair(blocks) });
  }

  /** What must be written is fetched at once; where something stands already, only once it turns out to differ. */
  async piece(request: Omit<PieceRequest, 'supply'>, blocks: readonly ChunkPlace[]): Promise<PieceResponse> {
    const { mustFetch, supplier } = this.#options;
    if (!mustFetch || request.does !== 'write') {
      const response = await this.#run<PieceResponse>({ ...request, supply: undefined });
      if (!response.isUnread) return response;
    }
    if (mustFetch) {
      const response = await this.#run<PieceResponse>({ ...request, supply: await this.#supply(blocks) });
      if (!response.isUnread) return response;
    }
    return this.#run<PieceResponse>({ ...request, supply: await supplier.repair(blocks) });
  }

  async #supply(blocks: readonly ChunkPlace[]): Promise<Supply | undefined> {
    return this.#options.mustFetch && blocks.length > 0 ? this.#options.supplier.supply(blocks) : undefined;
  }

  async #run<R extends EntriesResponse | PieceResponse>(request: EntriesRequest | PieceRequest): Promise<R> {
    if (Atomics.load(this.#options.stop, 0) !== 0) throw interrupted();
    return (await this.#options.runner.run(request)) as R;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
