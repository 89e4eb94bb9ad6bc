// A thread of a restore: puts entries and pieces of files back as the main thread says. Never talks to the store.

import { workerData } from 'node:worker_threads';
import { openCatalogReader } from '../catalog/index.js';
import { serve } from '../workers/serve.js';
import { openEngine } from './engine.js';
import type { Request, Response, ThreadSettings } from './messages.js';

const settings = workerData as ThreadSettings;
const catalog = openCatalogReader(settings.catalogPath, settings.repositoryId);
const engine = await openEngine({ ...settings, catalog });

serve<Request, Response>((request) => ({ response: engine.handle(request) }));
