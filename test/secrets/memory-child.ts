// Opens and closes a repository as a command does, then waits to be looked into: memory-child.js HOME. Says 'open' and 'closed', each
// answered with a line.

import { once } from 'node:events';
import path from 'node:path';
import { loadConfiguration } from '../../lib/config/load.js';
import { openRepository } from '../../lib/index.js';

const home = process.argv[2]!;

const say = async (what: string): Promise<void> => {
  process.stdout.write(`${what}\n`);
  await once(process.stdin, 'data');
};

const environment = { XDG_STATE_HOME: path.join(home, 'state'), XDG_CACHE_HOME: path.join(home, 'cache') };
const configuration = await loadConfiguration({ file: path.join(home, 'ini'), environment, cwd: home, home });
const repository = await openRepository(configuration, {
  access: 'write',
  create: 'if-new',
  note: () => undefined,
});
await say('open');
await repository.close();
await say('closed');
process.exit();
