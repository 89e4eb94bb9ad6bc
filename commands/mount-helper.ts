// rrbackup as mount(8) calls it, for a line in /etc/fstab or a systemd mount unit: `mount -t fuse.rrbackup SOURCE MOUNTPOINT -o
// OPTIONS` ends in `rrbackup SOURCE MOUNTPOINT -o OPTIONS`, through mount.fuse3 of libfuse or through a link named
// mount.fuse.rrbackup. Only says what that means as a command line of ours; what is wrong in it, the command itself refuses.

/** What mount(8) and systemd keep for themselves, and what holds for every mount of ours or is the default of mount(8). */
const notForUs = new Set([
  ...[
    'defaults',
    'rw',
    'ro',
    'suid',
    'nosuid',
    'dev',
    'nodev',
    'exec',
    'async',
    'sync',
    'dirsync',
    'silent',
    'loud',
  ],
  ...[
    'atime',
    'noatime',
    'diratime',
    'nodiratime',
    'relatime',
    'norelatime',
    'strictatime',
    'lazytime',
    'nolazytime',
  ],
  ...[
    'auto',
    'noauto',
    'user',
    'nouser',
    'users',
    'owner',
    'group',
    'nofail',
    '_netdev',
    'uhelper',
    'helper',
  ],
  ...['default_permissions', 'subtype', 'comment', 'mand', 'nomand', 'iversion', 'noiversion'],
]);

/** The sources of a line of /etc/fstab that name no configuration: it is looked for as always. */
const noConfiguration = new Set(['rrbackup', 'none', '']);

/** `words`: every word that begins a command. Arguments that are not mount(8)'s come back as they are. */
export function fromMountHelper(argv: readonly string[], words: readonly string[]): string[] {
  const [source, mountpoint, ...rest] = argv;
  const isCall =
    source !== undefined &&
    mountpoint !== undefined &&
    ![source, mountpoint].some((argument) => argument.startsWith('-')) &&
    !words.includes(source) &&
    rest.includes('-o');
  if (!isCall) return [...argv];
  const configuration = noConfiguration.has(source) ? [] : ['--config', source];
  const options: string[] = [];
  const flags: string[] = [];
  for (let index = 0; index < rest.length; index++) {
    const argument = rest[index]!;
    if (argument === '-o') options.push(...(rest[++index] ?? '').split(','));
    // The type, which is ours, and a namespace that mount(8) has entered already.
    else if (argument === '-t' || argument === '-N') index++;
    else if (argument === '-v') flags.push('--verbose');
    // Nothing to be written to a table of mounts.
    else if (argument !== '-n') flags.push(argument);
  }
  const ours = options.filter((option) => !isIgnored(option)).map(toFlag);
  const quiet = flags.includes('--verbose') ? [] : ['--quiet'];
  // The name that `mount -a` finds the line of /etc/fstab by.
  return [
    'mount',
    mountpoint,
    ...configuration,
    ...quiet,
    ...flags,
    '--fsname',
    source || 'rrbackup',
    ...ours,
  ];
}

function isIgnored(option: string): boolean {
  const [name = ''] = option.split('=', 1);
  return name === '' || notForUs.has(name) || /^x-/i.test(name);
}

/** allow_other: --allow-other; uid=5: --uid=5. */
function toFlag(option: string): string {
  const [name = ''] = option.split('=', 1);
  return `--${name.replaceAll('_', '-')}${option.slice(name.length)}`;
}
