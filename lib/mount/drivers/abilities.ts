// What a driver cannot do, said before anything is asked of it.

import { RrbackupError } from '../../errors/index.js';
import type { MountDriver } from '../types.js';

/** Throws where other users would get to see what a driver cannot keep from them. */
export function checkAbilities(driver: MountDriver, { allowOther }: { readonly allowOther: boolean }): void {
  if (driver === 'kernel' || !allowOther) return;
  throw new RrbackupError({
    code: 'mount.no_acls',
    kind: 'usage',
    message: `the driver ${driver} does not enforce ACLs, so it cannot let other users in`,
    guidance: 'leave out --driver, or --allow-other',
  });
}
