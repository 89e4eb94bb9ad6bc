// The round trip through a directory repository, mounts included.

import fs from 'node:fs';
import t from 'tap';
import { isRoot } from '../trees.js';
import { newHome } from './cli.js';
import { roundTrip } from './roundtrip.js';

const skip = isRoot ? false : 'owners, devices and mounts come back as root only';

void t.test('a directory repository', { skip }, async (t) => {
  const home = newHome(t);
  await roundTrip(t, home, {
    encryption: 'none',
    section: `[directory]\npath: ${home.at('repository')}\n`,
    deleteStreams: async () => fs.rmSync(home.at('repository', 'streams'), { recursive: true }),
  });
});
