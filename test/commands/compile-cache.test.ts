import t from 'tap';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileCache } from '../../commands/compile-cache.js';

t.test('compiled code is kept in the cache directory, for the user alone', async (t) => {
  const cache = join(t.testdir(), 'cache');
  const directory = join(cache, 'rrbackup/compiled-code');
  t.strictSame(compileCache({ XDG_CACHE_HOME: cache }, '26.10.0'), { NODE_COMPILE_CACHE: directory });
  t.equal(statSync(directory).mode & 0o777, 0o700);
});

t.test('not where Node cannot, there is no place, or the user has another', async (t) => {
  const cache = join(t.testdir(), 'cache');
  t.strictSame(compileCache({ XDG_CACHE_HOME: cache }, '20.20.2'), {});
  t.strictSame(compileCache({ XDG_CACHE_HOME: cache, NODE_COMPILE_CACHE: '/elsewhere' }, '26.10.0'), {});
  t.notOk(existsSync(cache));
  writeFileSync(cache, 'no directory');
  t.strictSame(compileCache({ XDG_CACHE_HOME: cache }, '26.10.0'), {});
});
