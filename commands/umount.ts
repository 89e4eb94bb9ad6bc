import { resolve } from 'node:path';
import { Command, Option } from 'clipanion';
import { unmount } from '../lib/index.js';
import { BaseCommand } from './base.js';
import type { Report } from './presentation/report.js';

export class UmountCommand extends BaseCommand {
  static override paths = [['umount']];
  static override usage = Command.Usage({
    category: 'Get back',
    description: 'End a mount',
    details: `The same as \`umount\` or \`fusermount3 -u\`; needs no configuration.`,
    examples: [['End it', '$0 umount ~/snapshots']],
  });

  mountpoint = Option.String({ name: 'MOUNTPOINT' });

  protected override async perform(report: Report): Promise<undefined> {
    const mountpoint = resolve(this.context.cwd, this.mountpoint);
    await unmount(mountpoint);
    await report.json({ unmounted: mountpoint });
    await report.summary(`${mountpoint} is unmounted`);
    return undefined;
  }
}
