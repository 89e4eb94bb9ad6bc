// Makes a directory, and those above it that are missing. In place of mkdir's `recursive`: where a name is missing and cannot be
// made either, as below /proc, Node's tries for ever. Imports next to nothing.

import fs from 'node:fs';
import path from 'node:path';
import { errorCode } from './reason.js';

/** One that is there stays as it is. Throws as the system does. */
export function makeDirectories(directory: string, mode = 0o700): void {
  try {
    fs.mkdirSync(directory, { mode });
  } catch (error) {
    if (isDirectory(directory)) return;
    const parent = path.dirname(directory);
    if (errorCode(error) !== 'ENOENT' || isDirectory(parent)) throw error;
    makeDirectories(parent, mode);
    makeDirectories(directory, mode);
  }
}

function isDirectory(file: string): boolean {
  try {
    return fs.statSync(file).isDirectory();
  } catch {
    return false;
  }
}
