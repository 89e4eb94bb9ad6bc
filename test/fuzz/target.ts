// What is fuzzed: something that reads bytes which others may have written. Any input gives a value or an RrbackupError of a
// kind that its reader promises; never another exception, never a hang, never more memory than the format admits.

import { RrbackupError, type ErrorKind } from '../../lib/errors/index.js';

export interface Target {
  /** Names its directories below corpus/ and regressions/. */
  readonly name: string;
  /** Kinds of errors that an input may end in. Default: those of stored objects. */
  readonly kinds?: readonly ErrorKind[];
  /** Of buffers, whatever the input says: what the format's limits admit. Default 8 MiB. */
  readonly allocated_bytes?: number;
  /** Inputs as CI tries them, among 1,000 of a target of usual speed. */
  readonly share?: number;
  /** Reads one input; throws an Error that is none of ours where a value is not what it should be. */
  read(input: Buffer): unknown;
}

export interface OpenTarget extends Target {
  close?(): Promise<void> | void;
}

const storedKinds: readonly ErrorKind[] = ['damaged', 'tampered', 'newer_format'];
const usual_bytes = 8 * 2 ** 20;

/** What became of an input, roughly: an input that ends as none did before is worth to go on from. */
export type Ending = string;

/** Reads the input. Throws for whatever an input may not do. */
export async function tryInput(target: Target, input: Buffer): Promise<Ending> {
  const meter = measureBuffers();
  let ending = 'value';
  try {
    const value: unknown = await target.read(Buffer.from(input));
    if (typeof value === 'string') ending = `value ${value}`;
  } catch (error) {
    const kinds = target.kinds ?? storedKinds;
    if (!(error instanceof RrbackupError)) throw error;
    if (!kinds.includes(error.kind))
      throw new Error(`an error of kind ${error.kind}: ${error.message}`, { cause: error });
    ending = `${error.code} ${error.message.replaceAll(/[0-9a-f]{8,}|\d+/g, '#').slice(0, 160)}`;
  } finally {
    meter.end();
  }
  const limit_bytes = target.allocated_bytes ?? usual_bytes;
  if (meter.bytes > limit_bytes)
    throw new Error(`${meter.bytes} bytes of buffers for an input of ${input.length}`);
  return ending;
}

/** Counts what is asked of the allocators of Buffer until `end`. */
function measureBuffers(): { readonly bytes: number; end(): void } {
  const own = {
    alloc: Buffer.alloc,
    allocUnsafe: Buffer.allocUnsafe,
    allocUnsafeSlow: Buffer.allocUnsafeSlow,
  };
  const counter = { bytes: 0, end: () => void Object.assign(Buffer, own) };
  const counted = Object.entries(own).map(([name, allocate]) => [
    name,
    (...given: Parameters<typeof Buffer.alloc>) => {
      counter.bytes += given[0];
      return allocate(...given);
    },
  ]);
  Object.assign(Buffer, Object.fromEntries(counted));
  return counter;
}
