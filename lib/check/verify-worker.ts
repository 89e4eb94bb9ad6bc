// A thread that verifies packs whose bytes it is given.

import { workerData } from 'node:worker_threads';
import { loadZstd } from '../compression/index.js';
import { cryptoReady, type RepositoryKeys } from '../crypto/index.js';
import { serve } from '../workers/serve.js';
import { PackVerifier, type VerifyRequest, type VerifyResponse } from './verify-pack.js';

export interface VerifySetup {
  readonly keys: RepositoryKeys;
  readonly repositoryId: string;
}

const { keys, repositoryId } = workerData as VerifySetup;
await cryptoReady();
const verifier = new PackVerifier({ keys, repositoryId, zstd: await loadZstd() });

serve<VerifyRequest, VerifyResponse>((request) => ({ response: verifier.verify(request) }));
