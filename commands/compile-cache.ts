// Where the program's compiled code is kept from one run to the next: it saves a third of a mount's
// start, and more of a short command's. Node 22.1 and later take it from the environment, in every thread; older ones know nothing of it. A cache like any
// other in the user's cache directory: may be deleted at any time.

import { homedir } from 'node:os';
import module from 'node:module';
import { readdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { distrustedOnWay, makeTrustedDirectories } from '../lib/posix/trust.js';

const firstNode = 22;

type Environment = Readonly<Record<string, string | undefined>>;

/** What to add to the environment; nothing where Node cannot, there is no place, or the user has named one. */
export function compileCache(environment: Environment, node = process.versions.node): Environment {
  if (Number.parseInt(node) < firstNode || environment['NODE_COMPILE_CACHE'] !== undefined) return {};
  const given = environment['XDG_CACHE_HOME'] ?? '';
  const directory = join(isAbsolute(given) ? given : join(homedir(), '.cache'), 'rrbackup/compiled-code');
  try {
    if (makeTrustedDirectories(directory) !== undefined) return {};
    return isSafe(directory) ? { NODE_COMPILE_CACHE: directory } : {};
  } catch {
    return {};
  }
}

/** What is in it runs as the program itself: nobody else may have had a hand in what Node has made there. */
function isSafe(directory: string): boolean {
  return readdirSync(directory).every((name) => distrustedOnWay(join(directory, name)) === undefined);
}

/** The same for this process and what it loads from here on; the environment, which its children inherit, stays as it is. */
export function useCompileCache(environment: Environment): void {
  const { NODE_COMPILE_CACHE: directory } = compileCache(environment);
  // Node 22.8 and later.
  const { enableCompileCache } = module as { enableCompileCache?: (directory: string) => unknown };
  if (directory !== undefined) enableCompileCache?.(directory);
}
