// borg, with defaults; it has no S3. One archive is mounted, which is the faster of its two ways.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { mountAt } from '../mounts.mjs';

export class Borg {
  name = 'borg';
  kind = 'peer';
  stores = ['directory'];
  #session;

  constructor(session) {
    this.#session = session;
  }

  async version() {
    return (await this.#session.run('borg', ['--version'])).stdout.trim();
  }

  #environment({ directory }) {
    return {
      BORG_PASSPHRASE: 'bench',
      BORG_BASE_DIR: join(directory, 'base'),
      BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
    };
  }

  async prepare(place) {
    const env = this.#environment(place);
    const repository = join(place.directory, 'repository');
    mkdirSync(join(place.directory, 'base'), { recursive: true });
    await this.#session.run('borg', ['init', '-e', 'repokey', repository], { env });
    await this.#session.run('borg', ['create', `${repository}::bench`, place.data], { env });
  }

  async forget() {}

  async mount(place, mountpoint) {
    const archive = `${join(place.directory, 'repository')}::bench`;
    const mount = await mountAt(this.#session, mountpoint, () =>
      this.#session.startServer('borg', ['mount', '--foreground', archive, mountpoint], {
        env: this.#environment(place),
        stdio: 'ignore',
      }),
    );
    return { ...mount, root: `${mountpoint}${place.data}/` };
  }
}
