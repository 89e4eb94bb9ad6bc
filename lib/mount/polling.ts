// Keeps a mount current: asks now and then whether the store has new versions, and notices at once when another process of
// this machine has brought the catalog up to date; has older versions brought where the catalog began with the newest. Never
// does either twice at once, and never ends the mount.

import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Driver } from './drivers/driver.js';
import type { MountOptions } from './types.js';

const defaultPoll_ms = 30_000;

/** What of a mount's options this is about. */
export type PollingOptions = Pick<
  MountOptions,
  'catalogPath' | 'poll_ms' | 'onPoll' | 'completePast' | 'onNote' | 'onWarning'
> & { readonly catalog: Pick<MountOptions['catalog'], 'refresh'> };

export class Polling {
  readonly #options: PollingOptions;
  readonly #driver: Pick<Driver, 'nudge'>;
  readonly #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #stopping = new AbortController();
  #completing: Promise<void> | undefined;

  constructor(options: PollingOptions, driver: Pick<Driver, 'nudge'>) {
    this.#options = options;
    this.#driver = driver;
    this.#watcher = this.#watch();
    this.#complete();
    this.#wait();
  }

  /** Resolves once nothing of it uses the catalog any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    this.#watcher?.close();
    await this.#completing;
  }

  get #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  #complete(): void {
    if (this.#isStopped) return;
    this.#completing ??= this.#bringPast().finally(() => {
      this.#completing = undefined;
    });
  }

  async #bringPast(): Promise<void> {
    const { completePast, onNote, onWarning } = this.#options;
    try {
      if ((await completePast?.(this.#stopping.signal)) !== true) return;
      this.#show();
      onNote?.('all versions are there now');
    } catch (error) {
      if (this.#isStopped) return;
      const why = error instanceof Error ? error.message : String(error);
      onWarning(`older versions are not there yet, and are looked for again later: ${why}`);
    }
  }

  async #look(): Promise<void> {
    try {
      await this.#options.onPoll?.();
      this.#show();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.onWarning(`new versions cannot be looked for: ${why}`);
    }
    this.#complete();
    this.#wait();
  }

  /** What is in the catalog by now. */
  #show(): void {
    if (this.#isStopped) return;
    this.#options.catalog.refresh();
    this.#driver.nudge();
  }

  #wait(): void {
    const { poll_ms = defaultPoll_ms } = this.#options;
    if (!this.#isStopped) this.#timer = setTimeout(() => void this.#look(), poll_ms);
  }

  /**
   * Whoever writes to the catalog seals it afterwards, in a file beside it. Where that cannot be watched, a change shows when
   * the threads look anew, which they do before they answer somebody who has let them rest.
   */
  #watch(): FSWatcher | undefined {
    const { catalogPath } = this.#options;
    const seal = `${basename(catalogPath)}-seal`;
    try {
      const watcher = watch(dirname(catalogPath), { persistent: false }, (_event, name) => {
        if (name === seal) this.#show();
      });
      watcher.on('error', () => {
        watcher.close();
      });
      return watcher;
    } catch {
      return undefined;
    }
  }
}
