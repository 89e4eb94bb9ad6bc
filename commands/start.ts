// The program's first lines: what is to go on in the background is started as its own process at once, before the rest of
// the program is loaded here and there.

import './logged-output.js';
import { stop } from './stop.js';
import { BackgroundChild, backgroundOption } from './background.js';
import { Unlocker } from '../lib/keys/unlock.js';
import { commandIndex, commandWords, opensRepository } from './command-word.js';
import { compileCache, useCompileCache } from './compile-cache.js';
import { fromMountHelper } from './mount-helper.js';

useCompileCache(process.env);
const argv = fromMountHelper(process.argv.slice(2), commandWords);
const program = [process.execPath, ...process.execArgv, process.argv[1]!];

/** Options of `mount` with which nothing goes on in the background. */
const inForeground = ['--foreground', backgroundOption, '--help', '-h'];
const isForBackground =
  argv[commandIndex(argv, commandWords)] === 'mount' && !inForeground.some((option) => argv.includes(option));

const child = isForBackground
  ? new BackgroundChild({
      command: [...program, ...argv],
      cwd: process.cwd(),
      // The password goes over the channel; the process that stays need not carry it in its environment.
      environment: { ...process.env, ...compileCache(process.env), RRBACKUP_PASSWORD: undefined },
    })
  : undefined;
// The slowest part of most commands is a password's work: the thread for it comes up while the rest is loaded.
const unlocker = opensRepository(argv) ? new Unlocker() : undefined;
const { run } = await import('./program.js');
await run({ program, argv, child, unlocker, signal: stop.signal });
await unlocker?.close();
