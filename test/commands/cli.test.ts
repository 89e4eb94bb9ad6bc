import t from 'tap';
import { PassThrough } from 'node:stream';
import { commandWords, commands, createCli } from '../../commands/cli.js';
import type { CommandContext } from '../../commands/context.js';
import { runCommandLine } from '../../commands/usage.js';
import { written } from './written.js';

async function run(
  test: Pick<typeof t, 'testdir'>,
  argv: readonly string[],
  env: Record<string, string> = {},
) {
  const cwd = test.testdir();
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const context: CommandContext = {
    env,
    stdin: new PassThrough(),
    stdout,
    stderr,
    colorDepth: 1,
    cwd,
    home: cwd,
    signal: new AbortController().signal,
    program: [],
    argv,
    parent: undefined,
  };
  const status = await runCommandLine(createCli({ colors: false }), commandWords, argv, context);
  return { status, out: written(stdout), said: written(stderr) };
}

t.test('every command explains itself, with an example that parses', async (t) => {
  const cli = createCli({ colors: false });
  for (const command of commands) {
    const name = command.paths[0]!.join(' ');
    t.ok(command.usage.description, name);
    t.ok(command.usage.examples!.length > 0, name);
    for (const [, example] of command.usage.examples!) {
      const [program, ...argv] = example.split(' | ')[0]!.split(' ');
      t.equal(program, '$0');
      const words = argv.join(' ').match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
      t.type(cli.process(words, {} as CommandContext), command, example);
    }
    const { status, out } = await run(t, [...command.paths[0]!, '--help']);
    t.equal(status, 0);
    t.match(out, 'Examples');
    t.match(out, '--json');
    t.notMatch(out, /\x1b/);
  }
});

t.test('the aliases that older scripts use, and backup by itself', async (t) => {
  const cli = createCli({ colors: false });
  const nameOf = (line: string): string =>
    (
      cli.process(line.split(' ').filter(Boolean), {} as CommandContext)
        .constructor as (typeof commands)[number]
    ).paths[0]!.join(' ');
  for (const [line, name] of [
    ['', 'backup'],
    ['--dry-run', 'backup'],
    ['-c x.ini', 'backup'],
    ['-q -c x.ini umount /m', 'umount'],
    ['list_versions', 'versions'],
    ['list_files 1', 'files'],
    ['ls latest~1 a/b', 'files'],
    ['list_changes 1 2', 'changes'],
    ['restore 1 /t a b c --overwrite', 'download'],
    ['key add --name x', 'key add'],
  ] as const)
    t.equal(nameOf(line), name, line);
});

t.test('the overview names every command and every exit status', async (t) => {
  const { status, out } = await run(t, ['--help']);
  t.equal(status, 0);
  for (const command of commands) t.match(out, `rrbackup ${command.paths[0]!.join(' ')}`);
  for (const number of [0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17, 130])
    t.match(out, new RegExp(`^ +${number}  `, 'm'));
  t.match((await run(t, ['--version'])).out, /^\d+\.\d+\.\d+\n$/);
});

t.test('a wrong command line: one sentence, what to do, status 2, nothing on stdout', async (t) => {
  const cases: [string[], string][] = [
    [['bakcup'], "there is no command 'bakcup'\n  hint: the nearest one is 'backup'"],
    [['-c', 'x.ini', 'file', '1'], "there is no command 'file'\n  hint: the nearest one is 'files'"],
    [
      ['files'],
      "an argument is missing, in 'rrbackup files'\n  hint: it is written 'rrbackup files VERSION [PATH]'",
    ],
    [['cat', '1', 'a', 'b'], "there is one argument too many: 'b', in 'rrbackup cat'"],
    [['backup', '--nope'], "there is no option '--nope', in 'rrbackup backup'"],
    [['ls', '-1'], "'-1' names no version\n  hint: the newest is latest, the one before it latest~1,"],
    [['ls', '-x'], "there is no option '-x', in 'rrbackup files'"],
    [['backup', '-c'], "the option -c needs a value, in 'rrbackup backup'"],
    [['key', 'remove'], "an argument is missing, in 'rrbackup key remove'"],
    [['frobnicate'], "there is no command 'frobnicate'\n  hint: 'rrbackup --help'"],
    [
      ['key'],
      "'key' alone, or with what followed it, is no command\n  hint: there are key add, key list, key remove",
    ],
    [['mount', '/m', '--driver', 'nfs'], "there is no mount driver 'nfs'"],
  ];
  for (const [argv, sentence] of cases) {
    const { status, out, said } = await run(t, argv);
    t.equal(status, 2, argv.join(' '));
    t.ok(said.includes(sentence), said);
    t.equal(out, '');
  }
});

t.test('a wrong command line with --json is told in JSON', async (t) => {
  const { status, out, said } = await run(t, ['files', '--json']);
  t.equal(status, 2);
  t.equal(out, '');
  t.match(JSON.parse(said), { error: { code: 'usage', kind: 'usage', exit_status: 2 } });
});

t.test('without a configuration', async (t) => {
  const versions = await run(t, ['versions']);
  t.equal(versions.status, 2);
  t.match(versions.said, /there is no configuration file.*\n {2}hint: run 'rrbackup init'/);
  const init = await run(t, ['init']);
  t.equal(init.status, 2);
  t.match(init.out, /rrbackup init --directory .* --source /);
  t.match(init.out, /\[s3\]\n +bucket/);
  const json = await run(t, ['versions', '--json']);
  t.equal(json.out, '');
  t.match(JSON.parse(json.said), { error: { code: 'config.none', exit_status: 2 } });
});
