// What crosses between a pool and its workers. Knows nothing of what the requests mean.

import type { PlainError } from '../errors/index.js';

export type ToWorker<Request> = { readonly id: number; readonly request: Request } | { readonly close: true };

export type FromWorker<Response> =
  | { readonly id: number; readonly response: Response }
  | { readonly id: number; readonly error: PlainError }
  /** Once: everything is loaded, and requests are answered from now on. */
  | { readonly isUp: true };
