import { join, resolve } from 'node:path';
import { Command, Option } from 'clipanion';
import { systemClock } from '../lib/clock.js';
import type { Configuration } from '../lib/config/types.js';
import { RrbackupError } from '../lib/errors/index.js';
import { printable } from '../lib/bytes/path.js';
import { parseSize } from '../lib/bytes/size.js';
import type { MountRepositoryOptions, Repository, TreeOptions } from '../lib/index.js';
import { timeFormatter } from '../lib/mount/tree/time-format.js';
import { checkAbilities } from '../lib/mount/drivers/abilities.js';
import { prepareThread } from '../lib/mount/drivers/thread.js';
import { mountDrivers } from '../lib/mount/types.js';
import type { Progress, Run } from '../lib/progress.js';
import { BackgroundChild, backgroundOption } from './background.js';
import { pathGuidance, pathReadings } from './path-argument.js';
import type { Report } from './presentation/report.js';
import { formatLocalTime } from './presentation/units.js';
import { ReadingCommand } from './reading.js';

function wrong(message: string, guidance: string): RrbackupError {
  return new RrbackupError({ code: 'usage', kind: 'usage', message, guidance });
}

/** 2^32 - 1 stands for none. */
const noOwner = 0xffff_ffff;

function ownerNumber<Name extends string>(
  name: Name,
  text: string | undefined,
): { readonly [Key in Name]?: number } {
  if (text === undefined) return {};
  const number = /^\d{1,10}$/.test(text) ? Number(text) : noOwner;
  if (number >= noOwner)
    throw wrong(`--${name} is not a number: '${text}'`, `'id NAME' tells the numbers of a user`);
  return { [name]: number } as { readonly [Key in Name]?: number };
}

/** Less would not hold the pieces that are read ahead for one reader. */
const leastCache_bytes = 8 * 2 ** 20;

function cacheSize_bytes(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const size_bytes = parseSize(text);
  if (size_bytes === undefined || size_bytes < leastCache_bytes || size_bytes > 2 ** 32)
    throw wrong(
      `--cache-size is no size that a mount can work with: '${text}'`,
      'give one from 8M to 4G, as in 256M',
    );
  return size_bytes;
}

export class MountCommand extends ReadingCommand {
  static override paths = [['mount']];
  static override usage = Command.Usage({
    category: 'Get back',
    description: 'Show every version ever made as ordinary read-only directories',
    details: `
      MOUNTPOINT is an empty directory. In it, \`<source>/<time>/\` is a version, \`<source>/current\` the newest one,
      \`<source>/history/\` has every state of every file, and \`hosts/\` the same for all machines of the repository. New
      versions appear while it is mounted.

      Goes on in the background once it serves; \`rrbackup umount MOUNTPOINT\` ends it.
    `,
    examples: [
      ['Mount', '$0 mount ~/snapshots'],
      ['Stay in the foreground, until Ctrl-C', '$0 mount ~/snapshots --foreground'],
      ["Look into another machine's backups", '$0 mount ~/snapshots --host laptop --source Documents'],
      ['Only one directory of every version', '$0 mount ~/snapshots --path letters/2026'],
      ['Names of versions in local time', "$0 mount ~/snapshots --time-format 'local:%a %Y-%m-%d %H.%M'"],
      ['For shadow_copy2 of Samba', '$0 mount /srv/snapshots --allow-other --time-format samba'],
    ],
  });

  foreground = Option.Boolean('--foreground', false, { description: 'Stay; end with Ctrl-C or umount' });
  inBackground = Option.Boolean(backgroundOption, false, { hidden: true });
  override host = Option.String('--host', {
    description: 'The machine whose sources stand in the root (default: this one)',
  });
  override source = Option.String('--source', { description: 'Show no other source' });
  directory = Option.String('--path', {
    description: 'Show only what lies below this directory of each version',
  });
  hidesHistory = Option.Boolean('--no-history', false, { description: 'Do without history/' });
  timeFormat = Option.String('--time-format', 'utc', {
    description:
      'How versions are named: utc, local, samba (@GMT-…), or a pattern as for date(1), in UTC; local:PATTERN for local time',
  });
  uid = Option.String('--uid', { description: 'Show everything as owned by this user (a number)' });
  gid = Option.String('--gid', { description: 'Show everything as of this group (a number)' });
  cacheSize = Option.String('--cache-size', {
    description: 'Memory for contents on their way to readers, besides what the kernel keeps (default: 32M)',
  });
  driver = Option.String('--driver', 'kernel', { description: `How to mount: ${mountDrivers.join(' or ')}` });
  allowOther = Option.Boolean('--allow-other', false, {
    description: "Let other users in, under the modes and ACLs backed up; other machines' files are left out",
  });
  allHosts = Option.Boolean('--all-hosts', false, {
    description:
      "With --allow-other, show other machines' files, too: to whoever has their owners' numbers here",
  });
  noExec = Option.Boolean('--noexec', false, { description: 'Let nobody run programs from it' });
  fsname = Option.String('--fsname', { hidden: true });
  mountpoint = Option.String({ name: 'MOUNTPOINT' });

  protected override async perform(report: Report): Promise<undefined> {
    const options = this.#options();
    const { mountpoint } = options;
    const { cwd, parent } = this.context;
    if ((this.inBackground || this.foreground) && options.driver === 'kernel') prepareThread();
    const configuration = await this.configuration(report);
    if (this.inBackground && parent !== undefined) {
      const password = await parent.begin();
      const informed =
        password === undefined ? configuration : { ...configuration, password: async () => password };
      try {
        await this.#serve(informed, options, report, () => parent.ready());
      } catch (error) {
        parent.failed(error);
        throw error;
      }
      return undefined;
    }
    if (this.foreground) {
      await this.#serve(configuration, options, report, () => {
        report.note(`${mountpoint} shows every version, until Ctrl-C or 'rrbackup umount ${mountpoint}'`);
      });
      return undefined;
    }
    const { program, argv, signal } = this.context;
    const logFile = join(
      configuration.stateDirectory,
      `mount${mountpoint.replaceAll(/[^\p{L}\p{N}]+/gu, '-')}.log`,
    );
    const password = configuration.encryption === 'password' ? await configuration.password() : undefined;
    // It goes over the channel; the process that stays need not carry it in its environment.
    const environment = { ...this.context.env, RRBACKUP_PASSWORD: undefined };
    const child =
      this.context.takeChild?.() ?? new BackgroundChild({ command: [...program, ...argv], cwd, environment });
    const pid = await child.begin({ logFile, password, ...report.run(signal), signal });
    report.clearProgress();
    await report.json({ mountpoint, pid, log: logFile });
    await report.summary(`${mountpoint} shows every version, until 'rrbackup umount ${mountpoint}'`);
    report.detail(`process ${pid}, its log is ${logFile}`);
    return undefined;
  }

  #options(): MountRepositoryOptions {
    const driver = mountDrivers.find((name) => name === this.driver);
    if (driver === undefined)
      throw wrong(
        `there is no mount driver '${this.driver}'`,
        `the drivers are ${mountDrivers.join(' and ')}`,
      );
    checkAbilities(driver, this);
    timeFormatter(this.timeFormat);
    const { allowOther, allHosts, noExec, fsname, hidesHistory, timeFormat } = this;
    const owner = { ...ownerNumber('uid', this.uid), ...ownerNumber('gid', this.gid) };
    const mountpoint = resolve(this.context.cwd, this.mountpoint);
    const cache_bytes = cacheSize_bytes(this.cacheSize);
    return {
      mountpoint,
      driver,
      cache_bytes,
      allowOther,
      allHosts,
      noExec,
      fsname,
      tree: { hidesHistory, timeFormat, ...owner },
    };
  }

  get #isWhole(): boolean {
    return this.host === undefined && this.source === undefined && this.directory === undefined;
  }

  /** What --host, --source and --path leave to be seen. Throws where that is nothing. */
  #part(
    repository: Repository,
    configuration: Configuration,
  ): Pick<TreeOptions, 'source' | 'path'> & { host?: string } {
    const { host, source, directory: path } = this;
    if (this.#isWhole) return {};
    const streams = this.streams(repository, configuration);
    const { catalog } = repository;
    const part = { ...(host === undefined ? {} : { host }), ...(source === undefined ? {} : { source }) };
    if (path === undefined) return part;
    for (const { id, sourcePath } of streams)
      for (const reading of pathReadings(path, sourcePath))
        if (catalog.directoryEver(id, reading) !== undefined) return { ...part, path: reading };
    throw new RrbackupError({
      code: 'version.no_path',
      kind: 'not_found',
      message: `there is no directory ${printable(Buffer.from(path))} in any version of ${streams.map((stream) => stream.source).join(', ')}`,
      guidance: pathGuidance(path, streams[0]!.sourcePath),
    });
  }

  /**
   * What the catalog holds is served before the store is asked whether it still has that history; whoever waits for the mount
   * waits for the answer. A store that shows another history ends the mount; one that does not answer is asked again later.
   */
  async #lookAtStore(repository: Repository, run: Run & { onWarning(message: string): void }): Promise<void> {
    if (repository.isSynced) return;
    try {
      await repository.sync({ ...run, newestFirst: true });
    } catch (error) {
      if (!(error instanceof RrbackupError) || error.kind !== 'store') throw error;
      run.onWarning(`new versions cannot be looked for: ${error.message}`);
    }
  }

  async #serve(
    configuration: Configuration,
    options: MountRepositoryOptions,
    report: Report,
    onReady: () => void,
  ): Promise<void> {
    const { signal, parent } = this.context;
    const run = {
      ...report.run(signal),
      ...(this.inBackground && parent && { onProgress: (progress: Progress) => parent.progress(progress) }),
    };
    // Not before: the process that only waits for the other has no use for it.
    const { mount, openRepository } = await import('../lib/index.js');
    const when = (): string => (this.inBackground ? `${formatLocalTime(systemClock.now_ns())} ` : '');
    const onWarning = (message: string): void => report.warn(when() + message);
    const note = (message: string): void => report.note(when() + message);
    const repository = await openRepository(configuration, {
      ...run,
      access: 'read',
      // What is asked for by name may be newer than the catalog.
      sync: this.#isWhole ? 'if-behind' : true,
      // A directory may have been there in older versions only.
      newestFirst: this.directory === undefined,
      note,
    });
    await this.closing(repository, async () => {
      const tree = { ...options.tree, ...this.#part(repository, configuration) };
      const mounted = await mount(repository, { ...run, ...options, tree, onWarning, onNote: note });
      const stop = (): void => void mounted.unmount();
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
      try {
        await this.#lookAtStore(repository, { ...run, onWarning });
      } catch (error) {
        await mounted.unmount();
        throw error;
      }
      for (const { source, host, head, endsInGap } of repository.catalog.streams())
        if (endsInGap)
          onWarning(
            `${source} of ${host} has no 'current': its newest versions, those after ${head}, cannot be read`,
          );
      await report.flush();
      onReady();
      await mounted.closed;
      note(`${options.mountpoint} is unmounted`);
    });
  }
}
