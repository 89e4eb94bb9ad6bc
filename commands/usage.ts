// A command line that does not parse, in one sentence and what to do about it.

import type { Cli, Definition } from 'clipanion';
import { noVersionName } from '../lib/catalog/version-argument.js';
import { isNear, nearest } from '../lib/config/nearest.js';
import { RrbackupError } from '../lib/errors/index.js';
import { commandIndex } from './command-word.js';
import type { CommandContext } from './context.js';
import { Report } from './presentation/report.js';

/** What a command is called by its users: 'files', 'key add'. */
function commandName({ path }: Definition): string {
  return path.split(' ').slice(1).join(' ');
}

function wrong(message: string, guidance: string): RrbackupError {
  return new RrbackupError({ code: 'usage', kind: 'usage', message, guidance });
}

/** The command that came nearest, how it is written without its options, and the parser's own reason. */
function candidateOf(error: Error): { name: string; written: string; reason: string } | undefined {
  if (!('candidates' in error) || !Array.isArray(error.candidates)) return undefined;
  const candidates = error.candidates as readonly {
    readonly usage: string;
    readonly reason: string | null;
  }[];
  const [first] = candidates.flatMap(({ usage, reason }) => (reason === null ? [] : [{ usage, reason }]));
  if (first === undefined) return undefined;
  const { usage, reason } = first;
  return {
    name: usage.split(' [-', 1)[0]!,
    written: usage.replaceAll(/ \[-[^\]]*\]/g, '').replaceAll(/[<>]/g, ''),
    reason,
  };
}

/** In our words; the names of options stand in the reason between quotes and brackets. */
function sentence(reason: string): string {
  const quoted = /\("(.*)"\)/.exec(reason)?.[1] ?? '';
  if (reason.startsWith('Not enough positional')) return 'an argument is missing';
  if (reason.startsWith('Extraneous positional')) return `there is one argument too many: '${quoted}'`;
  if (reason.startsWith('Unsupported option') || reason.startsWith('Invalid option name'))
    return `there is no option '${quoted}'`;
  if (reason.startsWith('Not enough arguments to option'))
    return `the option ${reason.split(' ').at(-1)!.replace(/\.$/, '')} needs a value`;
  return reason.split('\n', 1)[0]!.replace(/\.$/, '');
}

/** The parser wants options behind the command; people write `rrbackup -c FILE backup` too. */
function optionsLast(argv: readonly string[], words: readonly string[]): string[] {
  const command = commandIndex(argv, words);
  // Not a command: the value of an option of `backup`, whose name may be left out.
  if (command <= 0 || !words.includes(argv[command]!)) return [...argv];
  const rest = argv.slice(command);
  const end = rest.indexOf('--');
  return rest.toSpliced(end < 0 ? rest.length : end, 0, ...argv.slice(0, command));
}

/**
 * `words`: every word that begins a command, aliases too.
 */
export function describeUsageError(
  error: Error,
  argv: readonly string[],
  words: readonly string[],
  definitions: readonly Definition[],
): RrbackupError {
  const word = argv[commandIndex(argv, words)] ?? 'backup';
  if (!words.includes(word)) {
    const likely = nearest(word, words);
    return wrong(
      `there is no command '${word}'`,
      `${isNear(word, likely) ? `the nearest one is '${likely}'; ` : ''}'rrbackup --help' lists them all`,
    );
  }
  const candidate = candidateOf(error);
  const inGroup = definitions.map(commandName).filter((name) => name.startsWith(`${word} `));
  if (inGroup.length > 0 && candidate === undefined)
    return wrong(
      `'${word}' alone, or with what followed it, is no command`,
      `there are ${inGroup.join(', ')}`,
    );
  if (candidate === undefined)
    return wrong(
      `this is not how 'rrbackup ${word}' is written`,
      `'rrbackup ${word} --help' shows how it is written`,
    );
  const { name, written, reason } = candidate;
  // To the parser -1 is an option, to people a version.
  const [negative] = /(?<=\(")-\d+(?="\))/.exec(reason) ?? [];
  if (negative !== undefined && /\bVERSION\b/.test(written)) return noVersionName(negative);
  return wrong(`${sentence(reason)}, in '${name}'`, `it is written '${written}'; '${name} --help' says more`);
}

/** Runs a command line; a wrong one ends with exit status 2 and a sentence on stderr. */
export async function runCommandLine(
  cli: Cli<CommandContext>,
  words: readonly string[],
  argv: readonly string[],
  context: CommandContext,
): Promise<number> {
  let command;
  try {
    command = cli.process(optionsLast(argv, words), context);
  } catch (error) {
    if (!(error instanceof Error) || !('clipanion' in error)) throw error;
    const { stdout, stderr } = context;
    const [json, debug] = ['--json', '--debug'].map((option) => argv.includes(option)) as [boolean, boolean];
    const report = new Report({ stdout, stderr, json, debug, verbose: false, quiet: false });
    return report.error(describeUsageError(error, argv, words, cli.definitions()));
  }
  return cli.run(command, context);
}
