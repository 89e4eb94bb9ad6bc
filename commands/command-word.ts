// Which command a command line names. Imports nothing: it is asked before the rest of the program is loaded.

/** Every word that begins a command, aliases too. */
export const commandWords: readonly string[] = [
  'init',
  'backup',
  ...['versions', 'list_versions'],
  ...['files', 'list_files', 'ls'],
  ...['changes', 'list_changes'],
  'history',
  ...['download', 'restore'],
  'mount',
  'umount',
  'cat',
  'key',
  'check',
  'repair',
  'recover',
];

/** Commands that open no repository, or leave that to another process. */
const withoutRepository = ['init', 'umount', 'mount'];

/** Whether a command line is likely to open a repository: then a thread for the password's work is worth starting at once. */
export function opensRepository(argv: readonly string[]): boolean {
  const asksForHelp = ['--help', '-h', '--version'].some((option) => argv.includes(option));
  return !asksForHelp && !withoutRepository.includes(argv[commandIndex(argv, commandWords)] ?? '');
}

/**
 * Where the command stands: the first argument that is one, or else the first that is neither an option nor the value of
 * -c; -1 for none.
 */
export function commandIndex(argv: readonly string[], words: readonly string[]): number {
  const isValue = (index: number): boolean => ['-c', '--config'].includes(argv[index - 1] ?? '');
  const known = argv.findIndex((argument, index) => words.includes(argument) && !isValue(index));
  if (known >= 0) return known;
  return argv.findIndex((argument, index) => !argument.startsWith('-') && !isValue(index));
}
