// Sends what a process says, on both its outputs, into a file from now on. For processes in the background.

import { closeSync, openSync } from 'node:fs';
import { check, declare } from './libc.js';

const dup2 = declare('int dup2(int from, int to)');
const outputs = [1, 2];

/** The file is made anew, readable for the user alone; its directory must be there. */
export function redirectOutput(file: string): void {
  const opened = openSync(file, 'w', 0o600);
  for (const output of outputs) check(dup2(opened, output), 'dup2');
  closeSync(opened);
}
