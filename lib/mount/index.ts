// The room's door: a repository's versions as a read-only directory. Checks the mount point, chooses the driver, keeps the
// catalog up to date while the mount stands. Never prints, never ends the process.

import { checkAbilities } from './drivers/abilities.js';
import { mountByKernel } from './drivers/kernel.js';
import { checkFuse, prepareMountpoint } from './mountpoint.js';
import { Polling } from './polling.js';
import { timeFormatter } from './tree/time-format.js';
import { warmUp } from './warm-up.js';
import type { Mounted, MountOptions } from './types.js';
import { WarningLimiter } from './warnings.js';

export type { BlockReader } from './cache/flights.js';
export { CachedContent } from './cache/content.js';
export { unmountAt } from './mountpoint.js';
export { mountDrivers } from './types.js';
export type { ContentSource, MountDriver, Mounted, MountOptions } from './types.js';

/**
 * Mounts and resolves once the mount answers. Errors, all with a way out: 'mount.missing', '.not_a_directory', '.not_empty',
 * '.forbidden', '.time_format', '.no_acls' (kind usage); '.already_mounted', '.busy' (kind busy); '.no_device', '.device_denied', '.no_helper', '.failed',
 * '.allow_other', '.old_kernel', '.no_fuse_native' (kind failure); and the catalog's own.
 */
export async function mountRepository(options: MountOptions): Promise<Mounted> {
  if (options.tree.timeFormat !== undefined) timeFormatter(options.tree.timeFormat);
  checkAbilities(options.driver, options);
  const limiter = new WarningLimiter((message) => {
    options.onWarning(message);
  });
  if (options.driver === 'kernel') await checkFuse();
  const mountpoint = await prepareMountpoint(options.mountpoint, options.forbidden);
  const settings: MountOptions = {
    ...options,
    mountpoint,
    tree: {
      ...options.tree,
      ...(options.allowOther && options.allHosts !== true && { hidesOtherHosts: true }),
    },
    onWarning: (message) => {
      limiter.warn(message);
    },
  };
  const driver = await (settings.driver === 'kernel'
    ? mountByKernel(settings)
    : (await import('./drivers/fuse-native.js')).mountByFuseNative(settings));
  const polling = new Polling(settings, driver);
  // It may be gone by now; whoever reads it says so.
  void warmUp(options.catalogPath).catch(() => undefined);
  const closed = driver.closed.finally(() => polling.stop());
  closed.catch(() => undefined);
  return { mountpoint, closed, unmount: () => driver.unmount() };
}
