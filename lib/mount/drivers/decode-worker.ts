// A thread that decodes blocks on this machine into the shared ones when the prefetching thread asks for it. Ends when its port is
// closed.

import { workerData } from 'node:worker_threads';
import { openCatalogReader } from '../../catalog/index.js';
import { openLocalContent } from '../cache/local-content.js';
import type { Wanted } from '../prefetch/prefetcher.js';
import type { DecodeSettings } from './messages.js';

const settings = workerData as DecodeSettings;
const catalog = openCatalogReader(settings.catalogPath, settings.repositoryId);
const content = await openLocalContent(catalog, settings.content);

settings.wanted.on('message', (wanted: readonly Wanted[]) => {
  for (const { place, id } of wanted) content.load(place, id);
});
settings.wanted.on('close', () => void catalog.close());
