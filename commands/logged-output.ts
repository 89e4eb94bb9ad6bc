// Where stdout or stderr is a file, koffi has it written to the disk when the process ends, and with it, on most file systems,
// all that was written there lately: a download into the same file system would take as long again. Imports next to nothing.

import fs from 'node:fs';

process.on('exit', () => {
  for (const descriptor of [1, 2]) {
    try {
      if (!fs.fstatSync(descriptor).isFile()) continue;
      fs.closeSync(descriptor);
      // The lowest free number is its own: koffi waits for ever to complain about a descriptor that is closed.
      fs.openSync('/dev/null', 'w');
    } catch {
      // It is closed already.
    }
  }
});
