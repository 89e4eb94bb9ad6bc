// What `rrbackup key export` writes around the lines of a key: a few words, or a sheet of paper's worth of them. No other line
// may begin with a number from 1 to 6 and a space: these are the key's.

export interface KeySheet {
  readonly repositoryId: string;
  /** Where the repository is kept. */
  readonly location: string;
  /** ISO 8601; when the key was written down. */
  readonly made: string;
  readonly lines: readonly string[];
}

export function shortSheet({ repositoryId, location, made, lines }: KeySheet): string[] {
  return [
    `Key of the rrbackup repository ${repositoryId}`,
    `kept at ${location}, written down ${made}`,
    'Whoever has these lines can read every backup in it, without a password.',
    '',
    ...lines,
  ];
}

export function paperSheet({ repositoryId, location, made, lines }: KeySheet): string[] {
  return [
    'RRBACKUP KEY',
    '',
    `Repository:    ${repositoryId}`,
    `Kept at:       ${location}`,
    `Written down:  ${made}`,
    '',
    'Keep this sheet as you keep money. Whoever reads it can read every backup in the',
    'repository, those to come too, without any password, and taking passwords away does',
    'not change that. Without it and without a password nobody can read them.',
    '',
    ...lines.flatMap((line) => [`    ${line}`, '']),
    'To use it, when the passwords or rrbackup.json are lost:',
    '',
    '  a. Type the six lines into a file, numbers included, as key.txt. Capital letters or',
    '     small ones, spaces or none: it does not matter. The letters I, L, O and U do not',
    '     occur; a round sign is a zero and a straight one is a one. The last group of',
    '     each line checks it: rrbackup says which line is not as printed.',
    '  b. Write a configuration for the place above, as the README shows it, with the',
    '     password that shall open the repository from then on.',
    '  c. rrbackup recover --key-file key.txt',
    '  d. rrbackup versions',
    '',
    'Then destroy key.txt.',
  ];
}
