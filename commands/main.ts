#!/usr/bin/env node
// Loads the program, and says in words where it may not open the files that it is made of. Imports nothing that could be among
// those.

const tooManyFiles: readonly unknown[] = ['EMFILE', 'ENFILE'];

try {
  await import('./start.js');
} catch (error) {
  if (!(error instanceof Error && 'code' in error && tooManyFiles.includes(error.code))) throw error;
  process.stderr.write(
    'rrbackup: too few files may be open at once for the program to be loaded\n' +
      '  hint: allow more (ulimit -n 1024, or LimitNOFILE in a unit of systemd) and run it again\n',
  );
  process.exit(1);
}
