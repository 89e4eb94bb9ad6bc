// Tries changed inputs on one target, from a seed that brings them all back. An input that ends as none did before joins those
// that are changed further.

import { mutate, Random } from './mutate.js';
import { tryInput, type Target } from './target.js';

const longest_bytes = 96 * 1024;
/** Inputs that joined. */
const mostJoined = 200;

export interface Finding {
  readonly target: string;
  readonly seed: number;
  /** Of the input among those of this seed. */
  readonly index: number;
  readonly input: Buffer;
  readonly error: unknown;
}

export interface Effort {
  readonly seed: number;
  readonly count: number;
  /** Called before each input is tried. */
  onInput?(input: Buffer): void;
}

export interface Tried {
  readonly inputs: number;
  readonly endings: number;
  readonly finding: Finding | undefined;
}

/** Until the first finding. */
export async function fuzz(target: Target, corpus: readonly Buffer[], effort: Effort): Promise<Tried> {
  const { seed, count, onInput } = effort;
  const random = new Random(seed ^ hashOf(target.name));
  const inputs = [...corpus];
  const endings = new Set<string>();
  for (let index = 0; index < count; index++) {
    const base = index < corpus.length ? corpus[index]! : random.of(inputs);
    const input = index < corpus.length ? base : mutate(base, inputs, random, longest_bytes);
    onInput?.(input);
    try {
      const ending = await tryInput(target, input);
      const isNew = !endings.has(ending);
      endings.add(ending);
      if (isNew && inputs.length < corpus.length + mostJoined) inputs.push(input);
    } catch (error) {
      return {
        inputs: index + 1,
        endings: endings.size,
        finding: { target: target.name, seed, index, input, error },
      };
    }
  }
  return { inputs: count, endings: endings.size, finding: undefined };
}

function hashOf(text: string): number {
  let hash = 0;
  for (const character of text) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) | 0;
  return hash;
}
