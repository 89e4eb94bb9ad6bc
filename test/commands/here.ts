// Command lines run in this process, in a directory with a home of its own.

import path from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { CommandClass } from 'clipanion';
import { commandWords, createCli } from '../../commands/cli.js';
import type { CommandContext } from '../../commands/context.js';
import { runCommandLine } from '../../commands/usage.js';

export interface Ran {
  readonly status: number;
  readonly out: string;
  /** What it wrote to stderr. */
  readonly said: string;
}

/** `more`: commands besides those of the program. */
export function commandsIn(
  cwd: string,
  more: readonly CommandClass<CommandContext>[] = [],
): (...argv: string[]) => Promise<Ran> {
  return async (...argv) => {
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    const context: CommandContext = {
      env: { PATH: process.env['PATH'] },
      stdin: new PassThrough(),
      stdout,
      stderr,
      colorDepth: 1,
      cwd,
      home: path.join(cwd, 'home'),
      signal: new AbortController().signal,
      program: [],
      argv,
      parent: undefined,
    };
    const outputs = Promise.all([text(stdout), text(stderr)]);
    const cli = createCli({ colors: false });
    for (const command of more) cli.register(command);
    const words = [...commandWords, ...more.flatMap(({ paths = [] }) => paths.map(([word]) => word!))];
    const status = await runCommandLine(cli, words, argv, context);
    stdout.end();
    stderr.end();
    const [out, said] = await outputs;
    return { status, out, said };
  };
}
