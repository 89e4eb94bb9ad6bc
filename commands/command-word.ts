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
  'recover',
];

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
