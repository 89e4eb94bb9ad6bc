// A loaded configuration: checked, with defaults filled in, and nothing read from the environment later on.

import type { PasswordSource, SourceConfiguration, StoreConfiguration } from '../repository/types.js';

export interface Configuration {
  /** The file it came from, for messages. */
  readonly file: string;
  readonly store: StoreConfiguration;
  readonly encryption: 'password' | 'none';
  readonly password: PasswordSource;
  readonly commitLocked: boolean;
  /** Host name that names this machine's streams. */
  readonly host: string;
  readonly sources: readonly SourceConfiguration[];
  /** Absolute path of the catalog; `local_manifest_file`, or undefined: a default under the XDG cache, per repository. */
  readonly catalogPath: string | undefined;
  /** Where pins, journals and locks live: $XDG_STATE_HOME/rrbackup. */
  readonly stateDirectory: string;
  /** $XDG_CACHE_HOME/rrbackup. */
  readonly cacheDirectory: string;
  /** `cache_size`: what the disk cache of encrypted blocks may take; 0 where there is to be none. */
  readonly cacheSize_bytes: number;
  /** Things to tell the user (others can read a file with a secret in it). */
  readonly warnings: readonly string[];
}
