// One client's line to the store of a simulation, with everything that S3 and a network can do to it; and the client's death
// at a call that is chosen beforehand. Below it is the store itself, above it the product's own repetitions.

import { RrbackupError } from '../../lib/errors/index.js';
import { shortBody, transient } from '../../lib/store/failures.js';
import { RetryStore } from '../../lib/store/retry.js';
import type { Call, ObjectStore, StoredObject } from '../../lib/store/types.js';
import { WrappedStore, type Subject } from '../../lib/store/wrapper.js';
import type { World } from './world.js';

/** The process is gone: whatever it would still do counts no more. */
export class Crash extends Error {}

const final = new RrbackupError({ code: 'store.denied', kind: 'store', message: 'made to be refused' });
const page_keys = 3;

export class Line extends WrappedStore {
  readonly #world: World;
  readonly #name: string;
  #crash: { calls: number; readonly isAfter: boolean; readonly onCrash: () => void } | undefined;
  isDead = false;
  calls = 0;

  constructor(world: World, name: string) {
    super(world.store);
    this.#world = world;
    this.#name = name;
  }

  /** With the product's repetitions around it, which wait in simulated time. */
  static withRetries(world: World, line: Line, patience_ms: number): ObjectStore {
    const { clock, random } = world;
    return new RetryStore(line, {
      patience_ms,
      clock,
      random: random.next,
      sleep: (delay_ms) => {
        clock.pass(delay_ms);
        return Promise.resolve();
      },
    });
  }

  /** The client dies at its `calls`-th call from now on, before or after that has taken effect. */
  crashAt(calls: number, isAfter: boolean, onCrash: () => void): void {
    this.#crash = { calls, isAfter, onCrash };
  }

  protected override async around<T>(subject: Subject, _call: Call, action: () => Promise<T>): Promise<T> {
    const { random, weather } = this.#world;
    const dies = await this.#arrive(subject);
    if (dies === 'before') return this.#die();
    if (dies === 'after') {
      await action();
      return this.#die();
    }
    const { operation, key } = subject;
    const writes = operation === 'put' || operation === 'create';
    if (random.chance(weather.slow))
      for (let turns = 1 + random.below(4); turns > 0; turns--) await this.#world.turn();
    if (this.#world.isStormy() || random.chance(weather.refused)) throw transient(`${key} was refused`);
    if (random.chance(weather.final)) throw final;
    if (writes && random.chance(weather.late)) {
      this.#world.later(action);
      throw transient(`${key} timed out`);
    }
    const answer = await action();
    if (random.chance(weather.lost)) throw transient(`the answer about ${key} was lost`);
    // A line breaks anywhere: in the same place time and again it would be the object that is short.
    if (operation === 'get' && random.chance(weather.short))
      throw shortBody(this.location, key, 2 ** 30, random.below(2 ** 30));
    return answer;
  }

  /** Page by page, each as the store is when it is asked for. Versions of one key come in any order, and a page may come twice. */
  override async *list(prefix: string, options: Call & { after?: string } = {}): AsyncIterable<StoredObject> {
    const { random, weather } = this.#world;
    let { after } = options;
    for (;;) {
      if ((await this.#arrive({ operation: 'list', key: prefix })) !== undefined) this.#die();
      if (this.#world.isStormy() || random.chance(weather.refused + weather.lost))
        throw transient(`the listing of ${prefix} broke off`);
      if (random.chance(weather.final)) throw final;
      const { page, last } = await this.#page(prefix, after);
      yield* page;
      if (random.chance(weather.repeated)) yield* page;
      if (last === undefined) return;
      after = last;
    }
  }

  /** `last`: where the next one begins; undefined if there is none. */
  async #page(
    prefix: string,
    after: string | undefined,
  ): Promise<{ page: StoredObject[]; last: string | undefined }> {
    const byKey = new Map<string, StoredObject[]>();
    for await (const object of this.inner.list(prefix, after === undefined ? {} : { after })) {
      const versions = byKey.get(object.key) ?? [];
      if (versions.length === 0 && byKey.size === page_keys) {
        const page = [...byKey.values()].flatMap((some) => this.#world.random.shuffled(some));
        return { page, last: [...byKey.keys()].at(-1) };
      }
      byKey.set(object.key, [...versions, object]);
    }
    return {
      page: [...byKey.values()].flatMap((some) => this.#world.random.shuffled(some)),
      last: undefined,
    };
  }

  /** Counts the call, waits for its turn, and says whether it is the one at which the client dies. */
  async #arrive({ operation, key }: Subject): Promise<'before' | 'after' | undefined> {
    if (this.isDead) this.#die();
    this.calls++;
    await this.#world.turn();
    if (this.isDead) this.#die();
    this.#world.note(`${this.#name} ${operation} ${key.slice(0, key.indexOf('/') + 1)}`);
    if (this.#crash === undefined || --this.#crash.calls > 0) return undefined;
    return this.#crash.isAfter ? 'after' : 'before';
  }

  #die(): never {
    if (!this.isDead) {
      this.isDead = true;
      this.#world.note(`${this.#name} dies`);
      this.#crash?.onCrash();
    }
    throw new Crash(`${this.#name} is dead`);
  }
}
