// rrbackup as it is built, on one Node. Before cold work all that it keeps on this machine goes, the catalog apart.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { mountAt } from '../mounts.mjs';

export class Rrbackup {
  kind;
  stores = ['directory', 's3'];
  #session;
  #node;
  /** What comes before the arguments. */
  #program;
  #driver;

  /** `node`: its binary, and `program` what it runs; or an executable alone. `kind`: 'ours', or 'peer' for another build. */
  constructor(session, { kind, name, node, program, driver }) {
    this.kind = kind;
    this.name = name;
    this.#session = session;
    this.#node = node;
    this.#program = program === undefined ? [] : [program];
    this.#driver = driver;
  }

  async version() {
    return (await this.#run({ directory: '/nowhere' }, ['--version'])).stdout.trim();
  }

  #environment({ directory, configuration }) {
    const home = configuration === undefined ? directory : dirname(configuration);
    return {
      XDG_CACHE_HOME: join(home, 'cache'),
      XDG_STATE_HOME: join(home, 'state'),
      XDG_CONFIG_HOME: join(home, 'none'),
      RRBACKUP_CONFIG: undefined,
      RRBACKUP_PASSWORD: undefined,
      // No server here needs them, and Node 20 takes 70 ms to read a system's worth of them.
      NODE_EXTRA_CA_CERTS: undefined,
    };
  }

  #command(place, args) {
    return { command: this.#node, args: [...this.#program, ...args], env: this.#environment(place) };
  }

  #run(place, args) {
    const { command, args: all, env } = this.#command(place, args);
    return this.#session.run(command, all, { env });
  }

  catalog(place) {
    return join(place.directory, 'catalog.mdb');
  }

  #file(place) {
    return join(place.directory, 'rrbackup.ini');
  }

  #configure(place, endpoint, catalog = this.catalog(place)) {
    const file = this.#file(place);
    const { s3 } = place;
    const lines = [
      '[main]',
      'host: bench',
      'crypt_password: bench',
      `local_manifest_file: ${catalog}`,
      '[source data]',
      `path: ${place.data}`,
      ...(s3 === undefined
        ? ['[directory]', `path: ${join(place.directory, 'repository')}`]
        : [
            '[s3]',
            `bucket: ${s3.bucket}`,
            `endpoint: ${endpoint}`,
            'path_style: yes',
            `access_key: ${s3.accessKey}`,
            `secret_key: ${s3.secretKey}`,
          ]),
    ];
    mkdirSync(place.directory, { recursive: true });
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
    return file;
  }

  async init(place) {
    const file = this.#configure(place, place.s3?.endpoint);
    const { stdout } = await this.#run(place, ['--json', '-c', file, 'init']);
    writeFileSync(join(place.directory, 'repository-id'), JSON.parse(stdout).repository);
  }

  backupCommand(place) {
    return this.#command(place, ['-q', '-c', this.#file(place), 'backup']);
  }

  restoreCommand(place, out) {
    return this.#command(place, ['-q', '-c', this.#file(place), 'download', 'latest', out]);
  }

  restoredAt(place, out) {
    return out;
  }

  async forget(place) {
    rmSync(join(place.directory, 'cache'), { recursive: true, force: true });
  }

  async mount(place, mountpoint) {
    const file = place.configuration ?? this.#configure(place, place.s3?.slowEndpoint);
    return { ...(await this.#mount(place, file, mountpoint)), root: `${mountpoint}/data/current/` };
  }

  /** With a catalog that is not there yet; it is removed when the mount is released. */
  async mountWithoutCatalog(place, mountpoint) {
    const directory = join(place.directory, 'fresh');
    rmSync(directory, { recursive: true, force: true });
    const fresh = { ...place, directory };
    const catalog = this.catalog(fresh);
    let file;
    if (place.configuration === undefined) {
      mkdirSync(directory, { recursive: true });
      file = this.#configure(place, place.s3?.slowEndpoint, catalog);
    } else {
      file = join(directory, 'rrbackup.ini');
      mkdirSync(directory, { recursive: true });
      writeFileSync(file, withCatalog(readFileSync(place.configuration, 'utf8'), catalog), { mode: 0o600 });
    }
    const mount = await this.#mount(fresh, file, mountpoint);
    const release = async () => {
      await mount.release();
      rmSync(directory, { recursive: true, force: true });
    };
    return { ...mount, release };
  }

  #mount(place, file, mountpoint) {
    return mountAt(this.#session, mountpoint, async () => {
      const { stdout } = await this.#run(place, [
        '--json',
        '-c',
        file,
        'mount',
        mountpoint,
        '--driver',
        this.#driver,
      ]);
      return { pid: JSON.parse(stdout).pid };
    });
  }
}

/** A configuration's text with another catalog. */
function withCatalog(text, catalog) {
  const line = `local_manifest_file: ${catalog}`;
  const pattern = /^local_manifest_file\s*[:=].*$/m;
  return pattern.test(text) ? text.replace(pattern, line) : text.replace(/^\[main\].*$/m, `$&\n${line}`);
}
