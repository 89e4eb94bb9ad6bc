import t from 'tap';
import { chmodSync, chownSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
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

t.test('not where another user could have put code to run', async (t) => {
  const cache = join(t.testdir(), 'cache');
  const directory = join(cache, 'rrbackup/compiled-code');
  const made = join(directory, 'v26');
  const cached = () => compileCache({ XDG_CACHE_HOME: cache }, '26.10.0');
  cached();
  mkdirSync(made, { mode: 0o700 });
  t.not(cached()['NODE_COMPILE_CACHE'], undefined);
  for (const each of [made, directory, cache]) {
    const { mode } = statSync(each);
    chmodSync(each, 0o777);
    t.strictSame(cached(), {}, `others can write to ${each}`);
    chmodSync(each, mode);
    if (process.getuid?.() !== 0) continue;
    chownSync(each, 4242, 4242);
    t.strictSame(cached(), {}, `another user's: ${each}`);
    chownSync(each, 0, 0);
  }
  t.not(cached()['NODE_COMPILE_CACHE'], undefined);
});
