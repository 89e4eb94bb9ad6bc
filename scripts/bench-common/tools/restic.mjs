// restic, with defaults. Its cache keeps what `backup` left in it (index and trees), as our catalog is kept.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { mountAt } from '../mounts.mjs';

export class Restic {
  name;
  kind = 'peer';
  stores = ['directory', 's3'];
  #session;
  #program;

  /** `command`: another binary than the one that is installed. */
  constructor(session, { name = 'restic', command = 'restic' } = {}) {
    this.#session = session;
    this.name = name;
    this.#program = command;
  }

  async version() {
    return (await this.#session.run(this.#program, ['version'])).stdout.split(' ').slice(0, 2).join(' ');
  }

  #environment({ directory, s3 }) {
    return {
      RESTIC_PASSWORD: 'bench',
      RESTIC_CACHE_DIR: join(directory, 'cache'),
      ...(s3 === undefined ? {} : { AWS_ACCESS_KEY_ID: s3.accessKey, AWS_SECRET_ACCESS_KEY: s3.secretKey }),
    };
  }

  #repository({ directory, s3 }, endpoint) {
    return s3 === undefined ? join(directory, 'repository') : `s3:${endpoint}/${s3.bucket}`;
  }

  #command(place, args) {
    const repository = this.#repository(place, place.s3?.endpoint);
    return { command: this.#program, args: ['-q', '-r', repository, ...args], env: this.#environment(place) };
  }

  async init(place) {
    mkdirSync(place.directory, { recursive: true });
    const { command, args, env } = this.#command(place, ['init']);
    await this.#session.run(command, args, { env });
  }

  backupCommand(place) {
    return this.#command(place, ['backup', place.data]);
  }

  restoreCommand(place, out) {
    return this.#command(place, ['restore', 'latest', '--target', out]);
  }

  restoredAt({ data }, out) {
    return join(out, data);
  }

  async forget() {}

  async mount(place, mountpoint) {
    const env = this.#environment(place);
    const repository = this.#repository(place, place.s3?.slowEndpoint);
    const mount = await mountAt(this.#session, mountpoint, () =>
      this.#session.startServer(this.#program, ['-q', '-r', repository, 'mount', mountpoint], {
        env,
        stdio: 'ignore',
      }),
    );
    return { ...mount, root: `${mountpoint}/snapshots/latest${place.data}/` };
  }
}
