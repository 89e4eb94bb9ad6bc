// Where requests are carried out: in threads, one for each core, or in this one, for little work and for catalogs in memory.

import { setImmediate } from 'node:timers/promises';
import type { Transferable } from 'node:worker_threads';
import { WorkerPool } from '../workers/pool.js';
import { type EngineOptions, openEngine } from './engine.js';
import type { Request, Response, ThreadSettings } from './messages.js';

export interface Runner {
  /** How many requests it carries out at once. */
  readonly size: number;
  /** `request.supply` is gone here afterwards. Rejects with what the engine throws. */
  run(request: Request): Promise<Response>;
  /** Waits for what is under way; the caller has told it to stop. */
  close(): Promise<void>;
}

export function runInThreads(settings: ThreadSettings, size: number): Runner {
  const script = new URL('./worker.js', import.meta.url);
  const pool = new WorkerPool<Request, Response>({ script, size, workerData: settings });
  return {
    size,
    run: (request) => {
      const transfer: Transferable[] = request.supply ? [request.supply.bytes.buffer as ArrayBuffer] : [];
      return pool.run(request, transfer);
    },
    close: () => pool.close(),
  };
}

export async function runHere(options: EngineOptions): Promise<Runner> {
  const engine = await openEngine(options);
  return {
    size: 1,
    run: async (request) => {
      // So that signals and progress get through.
      await setImmediate();
      return engine.handle(request);
    },
    close: async () => {
      engine.close();
      return Promise.resolve();
    },
  };
}
