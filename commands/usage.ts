// A command line that does not parse, in one sentence and what to do about it.

import type { Cli } from 'clipanion';
import { nearest } from '../lib/config/nearest.js';
import { RrbackupError, exitStatus } from '../lib/errors/index.js';
import type { CommandContext } from './context.js';

interface Candidate {
  readonly usage: string;
  readonly reason: string | null;
}

function candidatesOf(error: Error): readonly Candidate[] {
  return 'candidates' in error && Array.isArray(error.candidates) ? (error.candidates as Candidate[]) : [];
}

function wrong(message: string, guidance: string): RrbackupError {
  return new RrbackupError({ code: 'usage', kind: 'usage', message, guidance });
}

/** `words`: the first word of every command. The first argument that is no option and no value of -c is meant as one. */
export function describeUsageError(
  error: Error,
  argv: readonly string[],
  words: readonly string[],
): RrbackupError {
  const word = argv.find(
    (argument, index) => !argument.startsWith('-') && !['-c', '--config'].includes(argv[index - 1] ?? ''),
  );
  if (word !== undefined && !words.includes(word))
    return wrong(
      `there is no command '${word}'`,
      `the nearest one is '${nearest(word, words)}'; 'rrbackup --help' lists them all`,
    );
  const help = `'rrbackup ${word === undefined ? '' : `${word} `}--help' explains it`;
  const reasons = candidatesOf(error).flatMap(({ reason }) => (reason === null ? [] : [reason]));
  const [reason] = reasons;
  if (reason === undefined)
    return wrong(`this is not how the command '${word ?? 'backup'}' is written`, help);
  const sentence = reason.split('\n', 1)[0]!.replace(/\.$/, '');
  return wrong(sentence.charAt(0).toLowerCase() + sentence.slice(1), help);
}

/** Runs a command line; a wrong one ends with exit status 2 and a sentence on stderr. */
export async function runCommandLine(
  cli: Cli<CommandContext>,
  argv: readonly string[],
  context: CommandContext,
): Promise<number> {
  let command;
  try {
    command = cli.process([...argv], context);
  } catch (error) {
    if (!(error instanceof Error) || !('clipanion' in error)) throw error;
    const words = cli.definitions().map(({ path }) => path.split(' ')[1]!);
    const { message, guidance } = describeUsageError(error, argv, words);
    context.stderr.write(`rrbackup: ${message}\n  hint: ${guidance}\n`);
    return exitStatus.usage;
  }
  return cli.run(command, context);
}
