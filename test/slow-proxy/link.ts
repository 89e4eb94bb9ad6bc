// One direction of a network line that several connections share: bytes take their turn at the line's bandwidth, then travel
// for its delay, many at a time. Time is only ever added to what is delivered; bytes are never changed, lost or re-ordered.

import { systemClock } from '../../lib/clock.js';

/** What one connection may have on its way at once, as a TCP window would: far more than bandwidth times delay. */
const window_bytes = 4 * 1024 * 1024;
/** Timers come late by up to a millisecond; what is due within half of one goes at once. */
const tolerance_ms = 0.5;

/** Where the bytes of a connection come out. */
export interface FarEnd {
  deliver(bytes: Buffer): void;
  end(): void;
  /** What it was given and could not yet pass on. */
  buffered_bytes(): number;
}

interface Parcel {
  /** Undefined: the end. */
  readonly bytes: Buffer | undefined;
  readonly due_ms: number;
}

/** The bytes of one connection in one direction. */
export class Flow {
  readonly #waiting: (Buffer | undefined)[] = [];
  readonly #travelling: Parcel[] = [];
  #timer: NodeJS.Timeout | undefined;
  #outstanding_bytes = 0;
  #isDropped = false;

  constructor(
    private readonly link: Link,
    private readonly farEnd: FarEnd,
    /** Nothing enters the line before: the connection is still being set up. */
    private readonly earliest_ms: number,
  ) {}

  get isFull(): boolean {
    return this.#outstanding_bytes + this.farEnd.buffered_bytes() >= window_bytes;
  }

  send(bytes: Buffer): void {
    this.#enter(bytes);
  }

  end(): void {
    this.#enter(undefined);
  }

  /** The connection is gone: nothing more is delivered. */
  drop(): void {
    this.#isDropped = true;
    this.#waiting.length = this.#travelling.length = 0;
    clearTimeout(this.#timer);
  }

  #enter(bytes: Buffer | undefined): void {
    if (this.#isDropped) return;
    this.#outstanding_bytes += bytes?.length ?? 0;
    this.#waiting.push(bytes);
    if (this.#waiting.length === 1) this.link.enqueue(this);
  }

  /** One parcel goes through the line's bottleneck; answers when that is free again, and whether more waits. */
  depart(from_ms: number): { free_ms: number; hasMore: boolean } {
    if (this.#waiting.length === 0) return { free_ms: from_ms, hasMore: false };
    const bytes = this.#waiting.shift();
    const free_ms = from_ms + ((bytes?.length ?? 0) / this.link.bandwidth_bytes_per_s) * 1000;
    this.#travelling.push({ bytes, due_ms: Math.max(free_ms, this.earliest_ms) + this.link.delay_ms });
    if (this.#travelling.length === 1) this.arrive();
    return { free_ms, hasMore: this.#waiting.length > 0 };
  }

  /** Delivers what is due. */
  arrive(): void {
    clearTimeout(this.#timer);
    if (this.link.isHeld) return;
    const now_ms = systemClock.monotonic_ms();
    for (let next = this.#travelling[0]; next !== undefined; next = this.#travelling[0]) {
      if (next.due_ms > now_ms + tolerance_ms) {
        this.#timer = setTimeout(() => this.arrive(), next.due_ms - now_ms);
        return;
      }
      this.#travelling.shift();
      this.#outstanding_bytes -= next.bytes?.length ?? 0;
      if (next.bytes === undefined) this.farEnd.end();
      else this.farEnd.deliver(next.bytes);
    }
  }
}

export interface LinkOptions {
  /** From one end to the other: half a round trip. */
  readonly delay_ms: number;
  /** Of all flows together; may be Infinity. */
  readonly bandwidth_bytes_per_s: number;
}

export class Link {
  readonly delay_ms: number;
  readonly bandwidth_bytes_per_s: number;
  readonly #flows = new Set<Flow>();
  /** Those with bytes that wait for the line, in turn: a parcel each. */
  #turns: Flow[] = [];
  #free_ms = 0;
  #timer: NodeJS.Timeout | undefined;
  #isHeld = false;

  constructor({ delay_ms, bandwidth_bytes_per_s }: LinkOptions) {
    this.delay_ms = delay_ms;
    this.bandwidth_bytes_per_s = bandwidth_bytes_per_s;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  open(farEnd: FarEnd, earliest_ms: number): Flow {
    const flow = new Flow(this, farEnd, earliest_ms);
    this.#flows.add(flow);
    return flow;
  }

  close(flow: Flow): void {
    flow.drop();
    this.#flows.delete(flow);
    this.#turns = this.#turns.filter((other) => other !== flow);
  }

  /** From now on nothing is delivered, until `release`. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    for (const flow of this.#flows) flow.arrive();
    this.#serve();
  }

  enqueue(flow: Flow): void {
    // A line that stood idle has saved nothing up.
    if (this.#turns.length === 0) this.#free_ms = Math.max(this.#free_ms, systemClock.monotonic_ms());
    this.#turns.push(flow);
    this.#serve();
  }

  #serve(): void {
    clearTimeout(this.#timer);
    if (this.#isHeld) return;
    const now_ms = systemClock.monotonic_ms();
    for (let flow = this.#turns[0]; flow !== undefined; flow = this.#turns[0]) {
      if (this.#free_ms > now_ms + tolerance_ms) {
        this.#timer = setTimeout(() => this.#serve(), this.#free_ms - now_ms);
        return;
      }
      const { free_ms, hasMore } = flow.depart(this.#free_ms);
      this.#free_ms = free_ms;
      this.#turns.shift();
      if (hasMore) this.#turns.push(flow);
    }
  }
}
