// gitignore rules as a backup uses them: against raw paths, case and all.

import fs from 'node:fs';
import path from 'node:path';
import { makeNode } from '../../lib/posix/nodes.js';
import t from 'tap';
import { makeExcludes, excludeRules } from '../../lib/backup/exclude.js';

t.test('rules of git, in their order, with case', (t) => {
  const excludes = makeExcludes([
    '*.log',
    '!keep.log',
    'build/',
    '/only-here',
    'a/**/z',
    '# comment',
    '',
    '\\#hash',
  ]);
  const left = (name: string, isDirectory = false): boolean =>
    excludes.excludes(Buffer.from(name), isDirectory);
  t.ok(left('x.log'));
  t.ok(left('deep/er/x.log'));
  t.notOk(left('X.LOG'), 'case matters');
  t.notOk(left('keep.log'));
  t.ok(left('build', true));
  t.notOk(left('build', false), 'a trailing slash means directories');
  t.ok(left('sub/build', true));
  t.ok(left('only-here'));
  t.notOk(left('sub/only-here'));
  t.ok(left('a/b/c/z'));
  t.ok(left('#hash'));
  t.notOk(left('# comment'));
  t.notOk(left('', true), 'the root is never left out');
  t.end();
});

t.test('names of any bytes neither crash nor escape a pattern', (t) => {
  const excludes = makeExcludes(['*.tmp', 'line*', '..x']);
  t.ok(excludes.excludes(Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('.tmp')]), false));
  t.notOk(excludes.excludes(Buffer.from([0xff, 0xfe]), false));
  t.ok(excludes.excludes(Buffer.from('line\nbreak'), false));
  t.notOk(excludes.excludes(Buffer.from('...'), true));
  t.ok(excludes.excludes(Buffer.from('..x'), true));
  t.notOk(excludes.excludes(Buffer.from('back\\slash'), true));
  t.notOk(excludes.excludes(Buffer.from('~'), true));
  for (let index = 0; index < 20_001; index++) excludes.excludes(Buffer.from(`many/${index}`), false);
  t.ok(excludes.excludes(Buffer.from('x.tmp'), false), 'still the same rules after many questions');
  t.end();
});

t.test('rules from files; a file that is not there is named', (t) => {
  const directory = t.testdir({ rules: '*.o\r\n!main.o\n' });
  const rules = excludeRules({ exclude: ['cache/'], excludeFiles: [path.join(directory, 'rules')] });
  const excludes = makeExcludes(rules);
  t.ok(excludes.excludes(Buffer.from('x.o'), false));
  t.notOk(excludes.excludes(Buffer.from('main.o'), false));
  t.ok(excludes.excludes(Buffer.from('cache'), true));
  for (const endless of [directory, '/dev/zero'])
    t.throws(() => excludeRules({ exclude: [], excludeFiles: [endless] }), {
      code: 'backup.exclude_file_unreadable',
      message: /cannot be read: it is not a regular file$/,
    });
  t.throws(() => excludeRules({ exclude: [], excludeFiles: [path.join(directory, 'none')] }), {
    code: 'backup.exclude_file_missing',
    message: /none cannot be read/,
  });
  t.end();
});

t.test('what somebody has put in the place of a file with rules holds nothing up', (t) => {
  const directory = t.testdir({ directory: {} });
  const at = (name: string): string => path.join(directory, name);
  makeNode(Buffer.from(at('fifo')), 'fifo');
  fs.symlinkSync('/dev/zero', at('endless'));
  fs.writeFileSync(at('long'), '');
  fs.truncateSync(at('long'), 2 ** 30);
  for (const name of ['directory', 'fifo', 'endless', 'long'])
    t.throws(
      () => excludeRules({ exclude: [], excludeFiles: [at(name)] }),
      { code: 'backup.exclude_file_unreadable', message: /cannot be read: it is/ },
      name,
    );
  t.end();
});
