// Blocks that come over the network: one flight per block, however many wait for it, and into the shared blocks when it lands.
// A flight that nobody waits for any more is aborted. Main thread only.

import { interrupted } from '../../errors/index.js';
import type { ChunkPlace } from '../../pack/types.js';
import type { SharedBlocks } from './shared-blocks.js';

/** What PackReader (lib/pack) offers; tests bring their own. */
export interface BlockReader {
  readBlocks(places: readonly ChunkPlace[], signal?: AbortSignal): Promise<Map<number, Buffer>>;
}

interface Flight {
  readonly done: Promise<Buffer>;
  /** Of a flight of its own; undefined where it flies with others because a reader may want it soon. */
  readonly abort: AbortController | undefined;
  waiting: number;
}

export class Flights {
  readonly #reader: BlockReader;
  readonly #shared: SharedBlocks;
  readonly #flights = new Map<string, Flight>();

  constructor(reader: BlockReader, shared: SharedBlocks) {
    this.#reader = reader;
    this.#shared = shared;
  }

  /** The plain block. */
  async block(place: ChunkPlace, signal: AbortSignal): Promise<Buffer> {
    const flight = this.#flights.get(keyOf(place)) ?? this.#start(place);
    try {
      return await this.#join(flight, keyOf(place), signal);
    } catch (error) {
      if (signal.aborted || flight.abort !== undefined) throw error;
      // A block that was fetched ahead with others shares their fate; what counts is what becomes of it alone.
      return await this.block(place, signal);
    }
  }

  /**
   * Fetches blocks of one pack in one go, where they are neither here nor on their way. Settles when they are, or are known
   * not to come; never rejects: whoever reads such a block later hears why.
   */
  async ahead(places: readonly ChunkPlace[]): Promise<void> {
    const missing = places.filter((place) => !this.#flights.has(keyOf(place)) && !this.#shared.has(place));
    if (missing.length > 0) {
      const all = this.#reader.readBlocks(missing);
      for (const place of missing) this.#fly(place, all, undefined);
    }
    await Promise.allSettled(places.map((place) => this.#flights.get(keyOf(place))?.done));
  }

  async #join(flight: Flight, key: string, signal: AbortSignal): Promise<Buffer> {
    if (signal.aborted) throw interrupted();
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => {
        reject(interrupted());
      };
      signal.addEventListener('abort', onAbort, { once: true });
    });
    flight.waiting++;
    try {
      return await Promise.race([flight.done, aborted]);
    } finally {
      if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
      flight.waiting--;
      if (flight.waiting === 0 && flight.abort !== undefined) {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.abort.abort();
      }
    }
  }

  #start(place: ChunkPlace): Flight {
    const abort = new AbortController();
    return this.#fly(place, this.#reader.readBlocks([place], abort.signal), abort);
  }

  #fly(place: ChunkPlace, blocks: Promise<Map<number, Buffer>>, abort: AbortController | undefined): Flight {
    const key = keyOf(place);
    const done = blocks
      .then((found) => {
        const plain = found.get(place.block);
        if (plain === undefined) throw new Error(`block ${place.block} of pack ${place.pack} was not read`);
        this.#keep(place, plain);
        return plain;
      })
      .finally(() => {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
      });
    const flight: Flight = { done, abort, waiting: 0 };
    this.#flights.set(key, flight);
    // Those who wait for it hear of a failure; perhaps nobody does.
    done.catch(() => undefined);
    return flight;
  }

  #keep(place: ChunkPlace, plain: Buffer): void {
    const claim = this.#shared.claim(place);
    if (claim.kind === 'full') return;
    if (claim.kind === 'claimed') this.#shared.fill(claim.block, plain);
    this.#shared.release(claim.block);
  }
}

function keyOf(place: ChunkPlace): string {
  return `${place.pack} ${place.block}`;
}
