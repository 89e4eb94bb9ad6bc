// The commands together on a local repository, in this process: what --json promises, and the exit statuses.
import t from 'tap';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BaseCommand } from '../../commands/base.js';
import type { Report } from '../../commands/presentation/report.js';
import { catalogDamaged } from '../../lib/catalog/failure.js';
import { commandsIn } from './here.js';

const cwd = t.testdir({
  source: { 'a.txt': 'hello', sub: { b: 'b'.repeat(5000), 'c.odt': 'c' } },
  home: {},
  'configuration.ini':
    '[main]\nbase_path: source\nhost: here\nencryption: none\n[directory]\npath: repository\n',
});

/** Meets a damaged catalog after it was opened, as a bad sector would show it. */
class DamageCommand extends BaseCommand {
  static override paths = [['damage']];

  protected override perform(report: Report): Promise<undefined> {
    return this.withRepository(report, { access: 'read' }, () => Promise.reject(catalogDamaged('a test')));
  }
}

const run = commandsIn(cwd, [DamageCommand]);

const lines = (out: string): unknown[] =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

t.test('a dry run touches nothing', async (t) => {
  const { status, out, said } = await run('backup', '--dry-run', '--json');
  t.equal(status, 0);
  t.match(said, /there is no repository at .* yet: the first backup makes it/);
  t.match(JSON.parse(out), { dry_run: true, sources: [{ source: 'source', added: 5, added_bytes: 5006 }] });
  const verbose = await run('backup', '--dry-run', '-v');
  t.match(verbose.out, /^added {5}a\.txt\n/m, 'a listing belongs on stdout');
  t.notOk(existsSync(join(cwd, 'repository/rrbackup.json')));
});

t.test('the first bare run makes the repository and says so', async (t) => {
  const { status, out, said } = await run('--json');
  t.equal(status, 0);
  t.match(said, /made a new UNENCRYPTED repository/);
  t.match(JSON.parse(out), {
    repository: /^[0-9a-f]{32}$/,
    created: true,
    dry_run: false,
    sources: [
      {
        source: 'source',
        version: 1,
        newest: 1,
        files: 3,
        directories: 2,
        added: 5,
        removed: 0,
        size_bytes: 5006,
        unreadable: [],
      },
    ],
  });
});

t.test('backup may be left out, its options not', async (t) => {
  for (const argv of [
    ['--source', 'source', '--dry-run'],
    ['--source', 'source', 'backup', '-n'],
  ])
    t.match(await run(...argv), {
      status: 0,
      out: 'source: nothing has changed, no version would be made\n',
    });
});

t.test('nothing changed: no version', async (t) => {
  const { out } = await run('backup', '--json');
  t.match(JSON.parse(out), { created: false, sources: [{ version: null, newest: 1 }] });
  t.match((await run()).out, /^source: nothing has changed since version 1 \(3 files, 4\.9 KiB\); /);
});

t.test('a dry run says what would be done, then it is done', async (t) => {
  rmSync(join(cwd, 'source/a.txt'));
  writeFileSync(join(cwd, 'source/sub/c.odt'), 'changed');
  writeFileSync(join(cwd, 'source/new'), 'new');
  const { out } = await run('backup', '-n', '--json');
  t.match(JSON.parse(out), {
    dry_run: true,
    sources: [{ added: 1, added_bytes: 3, changed: 1, changed_bytes: 7, removed: 1, removed_bytes: 5 }],
  });
  t.match(
    (await run('backup')).out,
    /^source: version 2: 3 files, .*; 1 added, 1 changed, \d metadata only, 1 removed; /,
  );
});

t.test('versions, files, changes, history', async (t) => {
  const versions = JSON.parse((await run('versions', '--json')).out) as { version: number; time: string }[];
  t.match(versions, [
    {
      version: 1,
      readable: true,
      host: 'here',
      source: 'source',
      source_path: join(cwd, 'source'),
      files: 3,
    },
    { version: 2 },
  ]);
  t.match(
    (await run('list_versions')).out,
    new RegExp(`^VERSION +TIME \\(UTC\\).*\n +1 +${versions[0]!.time} `),
  );
  t.match(lines((await run('files', '1', '--json')).out), [
    { path: 'a.txt', type: 'file', size_bytes: 5, mode: /^0\d{3}$/, mtime: /^\d{4}-.*\.\d{9}Z$/ },
    { path: 'sub', type: 'directory' },
    { path: 'sub/b' },
    { path: 'sub/c.odt' },
  ]);
  t.match(lines((await run('ls', 'latest', join(cwd, 'source/sub'), '--flat', '--json')).out), [
    { path: 'sub/b' },
    { path: 'sub/c.odt' },
  ]);
  const changes = lines((await run('changes', '2', '--json')).out) as { change: string; path: string }[];
  t.match(
    changes.filter(({ change }) => change !== 'metadata'),
    [
      { change: 'removed', path: 'a.txt', before: { size_bytes: 5 } },
      { change: 'added', path: 'new', after: { size_bytes: 3 } },
      { change: 'changed', path: 'sub/c.odt', before: { size_bytes: 1 }, after: { size_bytes: 7 } },
    ],
  );
  t.match((await run('changes', '2', '1')).out, /added +5 B +a\.txt\n/, 'the other way round');
  t.match(lines((await run('history', 'a.txt', '--json')).out), [
    { path: 'a.txt', from_version: 1, to_version: 1, from_time: versions[0]!.time, size_bytes: 5 },
    { from_version: 2, to_version: 2, deleted: true },
  ]);
  t.match(await run('files', versions[0]!.time.slice(0, 4) + '-', '--json'), {
    said: /fits 2 versions: taking the newest of them, version 2/,
  });
});

t.test('cat and download', async (t) => {
  t.equal((await run('cat', 'latest~1', 'a.txt')).out, 'hello');
  const target = join(cwd, 'back');
  t.match(JSON.parse((await run('download', '1', target, '**/*.odt', 'a.txt', '--json')).out), {
    version: 1,
    target,
    files: 2,
    written_bytes: 6,
    conflicts: 0,
  });
  t.equal(readFileSync(join(target, 'sub/c.odt'), 'utf8'), 'c');
  writeFileSync(join(target, 'a.txt'), 'mine');
  t.match(await run('restore', '1', target, '--json'), { status: 3, said: /a\.txt is kept as it is/ });
  t.equal(readFileSync(join(target, 'a.txt'), 'utf8'), 'mine');
  t.match(await run('download', '1', target, '--overwrite'), { status: 0, said: '' });
  t.equal(readFileSync(join(target, 'a.txt'), 'utf8'), 'hello');
});

t.test('what is not there, what may not be', async (t) => {
  for (const [argv, status, said] of [
    [['files', '9'], 14, 'there is no version 9'],
    [['files', 'tomorrow'], 2, "'tomorrow' names no version"],
    [['files', '2 days ago'], 14, 'no version is as old as 2 days ago'],
    [['files', '-1'], 2, "'-1' names no version"],
    [['changes', '2', '-1'], 2, 'did you mean latest~1?'],
    [['download', '-12', 'x'], 2, 'did you mean latest~12?'],
    [['cat', '-1', 'a.txt', '--json'], 2, '"code":"version.syntax"'],
    [['versions', '-1'], 2, "there is no option '-1'"],
    [['files', '1', 'nope'], 14, 'there is no nope in version 1 of source'],
    [['cat', '1', 'sub'], 2, 'sub is a directory'],
    [['versions', '--host', 'elsewhere'], 14, 'there is no version of the machine elsewhere yet'],
    [['versions', '--source', 'sauce'], 14, "the nearest one that has versions is 'source'"],
    [['backup', '--source', 'sauce'], 2, "there is no source 'sauce'"],
    [
      ['download', '1', 'x', '--files-from', 'none'],
      2,
      'the list none cannot be read: no such file or directory',
    ],
    [['history', 'nope'], 14, 'no version of source ever had nope'],
  ] as const) {
    const result = await run(...argv);
    t.equal(result.status, status, argv.join(' '));
    t.ok(result.said.includes(said), result.said);
    t.equal(result.out, '');
  }
});

t.test('a source that is gone or empty makes no version', async (t) => {
  writeFileSync(
    join(cwd, 'two.ini'),
    '[main]\nhost: here\nencryption: none\n[directory]\npath: repository\n[source gone]\npath: gone\n[source source]\npath: source\n',
  );
  const gone = await run('-c', 'two.ini', 'backup', '--json');
  t.not(gone.status, 0);
  t.match(
    JSON.parse(gone.out),
    {
      sources: [
        { source: 'gone', error: { code: 'backup.source_missing' } },
        { source: 'source', version: null },
      ],
    },
    'the other source is backed up all the same',
  );
  mkdirSync(join(cwd, 'gone'));
  t.match(await run('-c', 'two.ini', 'backup', '--source', 'gone'), { status: 1, said: /--allow-empty/ });
  t.match(await run('-c', 'two.ini', 'backup', '--source', 'gone', '--allow-empty'), {
    status: 0,
    out: /gone: version 1/,
  });
  t.match(await run('-c', 'two.ini', 'files', 'latest'), {
    status: 2,
    said: 'there are several sources: gone, source',
  });
});

t.test('a catalog that turns out damaged on the way goes, and is rebuilt by the next command', async (t) => {
  t.match(await run('damage'), { status: 13, said: /catalog is damaged.*\n {2}hint: run the command again/ });
  t.match(await run('versions'), { status: 0, said: /catalog .* is not there; it is rebuilt/ });
  t.match(await run('versions'), { status: 0, said: '' });
});

t.test('commit_locked', async (t) => {
  writeFileSync(
    join(cwd, 'locked.ini'),
    readFileSync(join(cwd, 'configuration.ini'), 'utf8').replace(
      '[directory]',
      'commit_locked: TRUE\n[directory]',
    ),
  );
  for (const argv of [['backup'], ['init'], ['recover'], ['key', 'add'], ['key', 'remove', '0']])
    t.match(await run('-c', 'locked.ini', ...argv), { status: 4, said: /commit_locked/ }, argv.join(' '));
  t.match(await run('-c', 'locked.ini', 'versions'), { status: 0 });
});

t.test('init writes a configuration once', async (t) => {
  rmSync(join(cwd, 'configuration.ini'));
  const none = await run('init', '--directory', 'r2', '--source', 'source');
  t.match(none, { status: 2, said: /no terminal to ask/ });
  t.match(await run('init', '--directory', 'r2'), { status: 2, said: /belong together/ });
  t.match(await run('init', '--directory', 'r2', '--source', 'nowhere'), {
    status: 14,
    said: /is not a directory/,
  });
  t.notOk(existsSync(join(cwd, 'home/.config')), 'nothing is left behind');
});
