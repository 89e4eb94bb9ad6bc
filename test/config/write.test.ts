import t from 'tap';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfiguration } from '../../lib/config/load.js';
import { writeConfiguration } from '../../lib/config/write.js';

t.test('a first configuration is written for its owner alone, and loads', async (t) => {
  const directory = t.testdir({ cwd: {} });
  const file = join(directory, 'new/configuration.ini');
  const password = 'p: = # ; "q"';
  await writeConfiguration({ file, directory: '/r', source: '/s', password });
  t.equal(statSync(file).mode & 0o777, 0o600);
  const loaded = await loadConfiguration({ environment: {}, cwd: directory, home: directory, file });
  t.match(loaded, { store: { kind: 'directory', path: '/r' }, sources: [{ path: '/s' }], warnings: [] });
  t.equal(await loaded.password(), password);
  await t.rejects(writeConfiguration({ file, directory: '/r', source: '/s' }), { code: 'config.exists' });
  const other = join(directory, 'other.ini');
  await t.rejects(writeConfiguration({ file: other, directory: '/r', source: '/s', password: ' x' }), {
    code: 'config.wrong_value',
  });
  await t.rejects(
    writeConfiguration({ file: join(file, 'below/a-file.ini'), directory: '/r', source: '/s' }),
    {
      code: 'config.unwritable',
    },
  );
  await writeConfiguration({ file: other, directory: '/r', source: '/s' });
  const asking = await loadConfiguration({
    environment: { RRBACKUP_PASSWORD: 'e' },
    cwd: directory,
    home: directory,
    file: other,
  });
  t.equal(await asking.password(), 'e');
});
