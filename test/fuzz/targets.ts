// All targets. Opened in the thread that fuzzes.

import fs from 'node:fs';
import path from 'node:path';
import { localTargets } from './local-targets.js';
import { manifestTargets } from './manifest-targets.js';
import { packTargets } from './pack-targets.js';
import { mountTarget, s3Target } from './server-targets.js';
import type { OpenTarget } from './target.js';

/** `scratch`: an empty directory of theirs. */
export async function openTargets(scratch: string): Promise<OpenTarget[]> {
  fs.mkdirSync(path.join(scratch, 'mount'));
  return [
    ...(await packTargets()),
    ...(await manifestTargets()),
    ...localTargets(scratch),
    await mountTarget(path.join(scratch, 'mount')),
    await s3Target(),
  ];
}
