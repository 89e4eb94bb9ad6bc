// What the clients of a simulation share: the store that they all talk to, whose turn it is, the weather between them and the
// store, and the time. Every decision comes from the seed, in the order of the calls; nothing here looks at a real clock.

import { MemoryStore } from '../../lib/store/memory.js';
import type { Clock } from '../../lib/clock.js';
import { Random } from './random.js';

/** Probabilities, of each call. */
export interface Weather {
  /** It fails without effect. */
  readonly refused: number;
  /** It takes effect, and the answer is lost. */
  readonly lost: number;
  /** The client gives it up; it takes effect while others already do something else. */
  readonly late: number;
  /** The body comes short. */
  readonly short: number;
  /** It fails for good: no permission, no network. */
  readonly final: number;
  /** Nobody is served for a while: 503. */
  readonly storm: number;
  /** Others go first, several times. */
  readonly slow: number;
  /** A page of a listing comes twice. */
  readonly repeated: number;
}

export const fair: Weather = {
  refused: 0,
  lost: 0,
  late: 0,
  short: 0,
  final: 0,
  storm: 0,
  slow: 0,
  repeated: 0,
};

export function drawWeather(random: Random): Weather {
  const most = random.pick([0, 0.01, 0.05, 0.2]);
  const some = (): number => (random.chance(0.5) ? random.next() * most : 0);
  return {
    refused: some(),
    lost: some(),
    late: some(),
    short: some(),
    final: random.chance(0.2) ? some() / 4 : 0,
    storm: some() / 10,
    slow: random.chance(0.5) ? 0.2 : 0,
    repeated: random.chance(0.5) ? 0.3 : 0,
  };
}

const longestStorm_calls = 40;
const slowCall_ms = 500;
const year_ns = 365n * 24n * 3600n * 10n ** 9n;

/** A clock that only calls, pauses and jumps move. */
export class SimulatedClock implements Clock {
  #now_ns = 1_800_000_000n * 10n ** 9n;
  #monotonic_ms = 0;
  readonly pause: (duration_ms: number) => Promise<void>;

  constructor(pause: SimulatedClock['pause']) {
    this.pause = pause;
  }

  now_ns(): bigint {
    return this.#now_ns;
  }

  monotonic_ms(): number {
    return this.#monotonic_ms;
  }

  pass(duration_ms: number): void {
    this.#monotonic_ms += duration_ms;
    this.#now_ns += BigInt(Math.round(duration_ms)) * 1_000_000n;
  }

  /** Up to ten years to and fro, as a wall clock may; the monotonic one does not. */
  jump(random: Random): void {
    this.#now_ns += ((BigInt(random.below(20_001)) - 10_000n) * year_ns) / 1000n;
  }
}

export interface WorldOptions {
  readonly ignoresIfNoneMatch?: boolean;
  readonly weather?: Weather;
  /** Nothing happens in the clients but by promises: no files, no messages. */
  readonly isPure?: boolean;
}

export class World {
  readonly random: Random;
  readonly clock = new SimulatedClock((duration_ms) => this.#pause(duration_ms));
  readonly store: MemoryStore;
  /** Whatever the clients believe. */
  readonly createsConditionally: boolean;
  weather: Weather;
  /** What happened, call by call: two runs of one seed have the same. */
  readonly trace: string[] = [];
  /** Takes effect of calls that were given up; in the order in which they will. */
  #late: { calls: number; readonly act: () => Promise<unknown> }[] = [];
  #storm_calls = 0;
  #waiting: (() => void)[] = [];
  #pausing: { readonly until_ms: number; readonly wake: () => void }[] = [];
  #quiet = 0;
  #isPumping = false;
  readonly #isPure: boolean;

  constructor(
    seed: number,
    { ignoresIfNoneMatch = false, weather = fair, isPure = false }: WorldOptions = {},
  ) {
    this.#isPure = isPure;
    this.random = new Random(seed);
    this.weather = weather;
    this.createsConditionally = !ignoresIfNoneMatch;
    this.store = new MemoryStore({ clock: this.clock, ignoresIfNoneMatch });
  }

  note(what: string): void {
    this.trace.push(what);
  }

  /** Waits until it is the caller's turn: of all who wait, any one may be next. */
  async turn(): Promise<void> {
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#startPumping();
    await turn;
    this.clock.pass(this.random.chance(this.weather.slow) ? slowCall_ms : 1);
    for (const late of this.#late) late.calls--;
    const due = this.#late.filter(({ calls }) => calls <= 0);
    this.#late = this.#late.filter(({ calls }) => calls > 0);
    for (const { act } of due) await act();
  }

  /** Others go on meanwhile; where there is nothing to go on with, the time passes at once. */
  #pause(duration_ms: number): Promise<void> {
    const until_ms = this.clock.monotonic_ms() + duration_ms;
    return new Promise<void>((wake) => {
      this.#pausing.push({ until_ms, wake });
      this.#startPumping();
    });
  }

  #startPumping(): void {
    this.#quiet = 0;
    if (this.#isPumping) return;
    this.#isPumping = true;
    setImmediate(this.#pump);
  }

  /** Nobody is let through before everybody has come as far as they can without the store. */
  readonly #pump = (): void => {
    if (!this.#isPure && (isReadingFiles() || ++this.#quiet < enoughTurnsOfTheLoop)) {
      setImmediate(this.#pump);
      return;
    }
    const next = this.#nextAwake() ?? this.#waiting.splice(this.random.below(this.#waiting.length), 1)[0]!;
    this.#isPumping = this.#waiting.length + this.#pausing.length > 0;
    this.#quiet = 0;
    if (this.#isPumping) setImmediate(this.#pump);
    next();
  };

  /** Whose pause is over. */
  #nextAwake(): (() => void) | undefined {
    if (this.#pausing.length === 0) return undefined;
    const next = this.#pausing.reduce((one, other) => (other.until_ms < one.until_ms ? other : one));
    const left_ms = next.until_ms - this.clock.monotonic_ms();
    if (left_ms > 0 && this.#waiting.length > 0) return undefined;
    this.clock.pass(Math.max(0, left_ms));
    this.#pausing = this.#pausing.filter((other) => other !== next);
    return next.wake;
  }

  /** Whether this call meets a storm; storms come by the weather and go with the calls that they refuse. */
  isStormy(): boolean {
    if (this.random.chance(this.weather.storm)) this.#storm_calls += this.random.below(longestStorm_calls);
    if (this.#storm_calls === 0) return false;
    this.#storm_calls--;
    return true;
  }

  /** Takes effect some calls from now. */
  later(act: () => Promise<unknown>): void {
    this.#late.push({ calls: 1 + this.random.below(8), act: () => act().catch(() => undefined) });
  }

  /** The line is empty: whatever was under way has arrived. */
  async settle(): Promise<void> {
    this.#storm_calls = 0;
    const due = this.#late;
    this.#late = [];
    for (const { act } of due) await act();
  }
}

const isReadingFiles = (): boolean =>
  process.getActiveResourcesInfo().some((resource) => resource.startsWith('FSReq'));

/** Messages between ports and work in pieces take a few. */
const enoughTurnsOfTheLoop = 4;
