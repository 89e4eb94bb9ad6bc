// What the thread that fuzzes and who watches it say to each other.

import type { Tried } from './fuzzer.js';

export interface Job {
  readonly target: string;
  readonly seed: number;
  /** Of a target with a full share. */
  readonly count: number;
}

export interface Done extends Omit<Tried, 'finding'> {
  readonly cpu_ms: number;
  readonly finding: { readonly index: number; readonly input: Uint8Array; readonly why: string } | undefined;
}

export interface FuzzData {
  readonly scratch: string;
  /** The input at hand, for whoever looks on from outside: see inputAt. */
  readonly current: SharedArrayBuffer;
}

/** Where in `current` stand the input's number (of all), its length and its bytes. */
export const inputAt = { number: 0, length: 4, bytes: 8 } as const;
