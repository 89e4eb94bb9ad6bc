// The only reader of the wall clock and of the monotonic clock; tests put their own in its place.

export interface Clock {
  /** Wall clock, nanoseconds since 1970 UTC. For people to read; no safety decision rests on it. */
  now_ns(): bigint;
  /** Monotonic, milliseconds from an arbitrary start. */
  monotonic_ms(): number;
}

export const systemClock: Clock = {
  now_ns: () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n,
  monotonic_ms: () => performance.now(),
};
