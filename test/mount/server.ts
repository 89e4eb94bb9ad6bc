// A mount in a process of its own, for tests that kill it or run it as another user: node server.js SCRATCH MOUNTPOINT [HOW].
// Prints 'mounted', or the code of the error; HOW says what happens then: 'exit' and 'throw' end the process without a word
// to the mount, 'wait' serves until SIGTERM.

import { mountRepository } from '../../lib/mount/index.js';
import { toRrbackupError } from '../../lib/errors/index.js';
import { repositoryId, TestRepository } from './repository.js';

const [scratch = '', mountpoint = '', how = 'wait'] = process.argv.slice(2);
const repository = await TestRepository.create(scratch);
await repository.commit('here', 'docs', 1_795_230_000_000_000_000n, {
  a: 'one',
  own: { content: 'x', uid: 0, mode: 0o600 },
});
try {
  const mounted = await mountRepository({
    catalog: repository.catalog,
    catalogPath: repository.catalogPath,
    repositoryId,
    content: repository.content(),
    mountpoint,
    tree: { host: 'here', owner: { uid: 0, gid: 0 } },
    driver: process.env['TEST_DRIVER'] === 'fuse-native' ? 'fuse-native' : 'kernel',
    allowOther: process.env['TEST_ALLOW_OTHER'] === '1',
    forbidden: [scratch],
    onWarning: (message) => process.stderr.write(`${message}\n`),
  });
  process.on('SIGTERM', () => void mounted.unmount());
  process.stdout.write('mounted\n');
  if (how === 'exit') setTimeout(() => process.exit(7), 200);
  if (how === 'throw') {
    setTimeout(() => {
      throw new Error('a mistake');
    }, 200);
  }
  await mounted.closed;
  await repository.catalog.close();
  process.stdout.write('closed\n');
} catch (error) {
  process.stdout.write(`${toRrbackupError(error).code}\n`);
  await repository.catalog.close();
}
