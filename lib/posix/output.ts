// Sends what a process says, on both its outputs, into a file from now on. For processes in the background.

import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { check, declare } from './libc.js';
import { Refusal } from './reason.js';
import { isOwn } from './trust.js';

const dup2 = declare('int dup2(int from, int to)');
const outputs = [1, 2];

/**
 * The file is made anew, readable for the user alone; its directory must be there. Throws as the system does, or a Refusal where
 * something else than a file of this user's is there.
 */
export function redirectOutput(file: string): void {
  const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const opened = openSync(file, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    const status = fstatSync(opened);
    if (!status.isFile() || !isOwn(status)) throw new Refusal(`${file} is not a file of this user's`);
    ftruncateSync(opened);
    for (const output of outputs) check(dup2(opened, output), 'dup2');
  } finally {
    closeSync(opened);
  }
}
