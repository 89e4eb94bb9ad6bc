import { join, resolve } from 'node:path';
import { Command, Option } from 'clipanion';
import { systemClock } from '../lib/clock.js';
import type { Configuration } from '../lib/config/types.js';
import { RrbackupError } from '../lib/errors/index.js';
import { type MountDriver, mount, openRepository } from '../lib/index.js';
import { mountDrivers } from '../lib/mount/types.js';
import { backgroundOption, startInBackground } from './background.js';
import { BaseCommand } from './base.js';
import type { Report } from './presentation/report.js';
import { formatLocalTime } from './presentation/units.js';

export class MountCommand extends BaseCommand {
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
    ],
  });

  foreground = Option.Boolean('--foreground', false, { description: 'Stay; end with Ctrl-C or umount' });
  inBackground = Option.Boolean(backgroundOption, false, { hidden: true });
  driver = Option.String('--driver', 'kernel', { description: `How to mount: ${mountDrivers.join(' or ')}` });
  allowOther = Option.Boolean('--allow-other', false, {
    description: 'Let other users in, under the modes backed up',
  });
  mountpoint = Option.String({ name: 'MOUNTPOINT' });

  protected override async perform(report: Report): Promise<undefined> {
    const driver = mountDrivers.find((name) => name === this.driver);
    if (driver === undefined)
      throw new RrbackupError({
        code: 'usage',
        kind: 'usage',
        message: `there is no mount driver '${this.driver}'`,
        guidance: `the drivers are ${mountDrivers.join(' and ')}`,
      });
    const { cwd, parent } = this.context;
    const mountpoint = resolve(cwd, this.mountpoint);
    const configuration = await this.configuration(report);
    if (this.inBackground && parent !== undefined) {
      const password = await parent.begin();
      const informed =
        password === undefined ? configuration : { ...configuration, password: async () => password };
      try {
        await this.#serve(informed, { mountpoint, driver }, report, () => parent.ready());
      } catch (error) {
        parent.failed(error);
        throw error;
      }
      return undefined;
    }
    if (this.foreground) {
      await this.#serve(configuration, { mountpoint, driver }, report, () => {
        report.note(`${mountpoint} shows every version, until Ctrl-C or 'rrbackup umount ${mountpoint}'`);
      });
      return undefined;
    }
    const { program, argv, signal } = this.context;
    // It goes over the channel; the process that stays need not carry it in its environment.
    const environment = { ...this.context.env, RRBACKUP_PASSWORD: undefined };
    const logFile = join(
      configuration.stateDirectory,
      `mount${mountpoint.replaceAll(/[^\p{L}\p{N}]+/gu, '-')}.log`,
    );
    const password = configuration.encryption === 'password' ? await configuration.password() : undefined;
    const pid = await startInBackground({
      command: [...program, ...argv],
      cwd,
      environment,
      logFile,
      password,
      signal,
    });
    await report.json({ mountpoint, pid, log: logFile });
    await report.summary(`${mountpoint} shows every version, until 'rrbackup umount ${mountpoint}'`);
    report.detail(`process ${pid}, its log is ${logFile}`);
    return undefined;
  }

  async #serve(
    configuration: Configuration,
    options: { readonly mountpoint: string; readonly driver: MountDriver },
    report: Report,
    onReady: () => void,
  ): Promise<void> {
    const { signal } = this.context;
    const run = report.run(signal);
    const when = (): string => (this.inBackground ? `${formatLocalTime(systemClock.now_ns())} ` : '');
    const onWarning = (message: string): void => report.warn(when() + message);
    const note = (message: string): void => report.note(when() + message);
    const repository = await openRepository(configuration, { ...run, access: 'read', note });
    await this.closing(repository, async () => {
      const mounted = await mount(repository, { ...run, ...options, allowOther: this.allowOther, onWarning });
      const stop = (): void => void mounted.unmount();
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
      await report.flush();
      onReady();
      await mounted.closed;
      note(`${options.mountpoint} is unmounted`);
    });
  }
}
