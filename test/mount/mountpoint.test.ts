// Places where nothing can be mounted: each its own error, before anything is touched.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { prepareMountpoint } from '../../lib/mount/mountpoint.js';
import { scratchDirectory } from '../trees.js';

void t.test('what is no mount point', async (test) => {
  const scratch = scratchDirectory(test);
  const at = (name: string): string => path.join(scratch, name);
  fs.mkdirSync(at('full'));
  fs.writeFileSync(at('full/file'), '');
  fs.mkdirSync(at('repository/inside'), { recursive: true });
  fs.mkdirSync(at('empty'));
  fs.symlinkSync('repository/inside', at('sneaky'));
  const code = async (name: string, forbidden: string[] = []): Promise<string> => {
    try {
      return await prepareMountpoint(at(name), forbidden);
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  test.equal(await code('missing'), 'mount.missing');
  test.equal(await code('full/file/below'), 'mount.missing');
  test.equal(await code('full/file'), 'mount.not_a_directory');
  test.equal(await code('full'), 'mount.not_empty');
  test.equal(await code('repository/inside', [at('repository')]), 'mount.forbidden');
  test.equal(await code('sneaky', [at('repository')]), 'mount.forbidden');
  test.equal(await code('empty', [at('empty/not/there/yet')]), 'mount.forbidden');
  test.equal(await code('empty', [at('repository')]), at('empty'));
  test.equal(
    await code('empty', [at('empty-too')]),
    at('empty'),
    'a common beginning of the name is nothing',
  );
});

void t.test(
  'something else is mounted there',
  { skip: process.platform !== 'linux' && 'needs Linux' },
  async (test) => {
    await test.rejects(prepareMountpoint('/proc', []), { code: 'mount.busy' });
  },
);
