// A thread that decodes blocks on this machine into the shared ones when the prefetching thread asks for it. Ends when its port is
// closed.

import { workerData } from 'node:worker_threads';
import { openLocalContent, type Wanted } from '../cache/local-content.js';
import type { DecodeSettings } from './messages.js';

const settings = workerData as DecodeSettings;
const content = await openLocalContent(settings.repositoryId, settings.content);

settings.wanted.on('message', (wanted: readonly Wanted[]) => {
  for (const each of wanted) content.load(each);
});
