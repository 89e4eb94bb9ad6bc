// borg, with defaults; it has no S3. One archive is mounted, which is the faster of its two ways.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { mountAt } from '../mounts.mjs';

export class Borg {
  name;
  kind = 'peer';
  stores = ['directory'];
  #session;
  #program;

  /** `command`: another binary than the one that is installed. */
  constructor(session, { name = 'borg', command = 'borg' } = {}) {
    this.#session = session;
    this.name = name;
    this.#program = command;
  }

  async version() {
    return (await this.#session.run(this.#program, ['--version'])).stdout.trim();
  }

  #environment({ directory }) {
    return {
      BORG_PASSPHRASE: 'bench',
      BORG_BASE_DIR: join(directory, 'base'),
      BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes',
    };
  }

  #archive({ directory, version = 'bench' }) {
    return `${join(directory, 'repository')}::${version}`;
  }

  async init(place) {
    const env = this.#environment(place);
    mkdirSync(join(place.directory, 'base'), { recursive: true });
    await this.#session.run(this.#program, ['init', '-e', 'repokey', join(place.directory, 'repository')], {
      env,
    });
  }

  backupCommand(place) {
    return {
      command: this.#program,
      args: ['create', this.#archive(place), place.data],
      env: this.#environment(place),
    };
  }

  restoreCommand(place, out) {
    return {
      command: this.#program,
      args: ['extract', this.#archive(place)],
      env: this.#environment(place),
      cwd: out,
    };
  }

  restoredAt({ data }, out) {
    return join(out, data);
  }

  async forget() {}

  async mount(place, mountpoint) {
    const mount = await mountAt(this.#session, mountpoint, () =>
      this.#session.startServer(this.#program, ['mount', '--foreground', this.#archive(place), mountpoint], {
        env: this.#environment(place),
        stdio: 'ignore',
      }),
    );
    return { ...mount, root: `${mountpoint}${place.data}/` };
  }
}
