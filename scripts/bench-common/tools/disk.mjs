// The disk itself: what every mount is held against, and a restore beside `cp -a`.

export class Disk {
  name = 'disk';
  kind = 'disk';
  stores = ['directory'];

  async version() {
    return 'the data where it lies';
  }

  async init() {}

  backupCommand() {
    return undefined;
  }

  restoreCommand({ data }, out) {
    return { command: 'cp', args: ['-a', `${data}/.`, out] };
  }

  restoredAt(place, out) {
    return out;
  }

  async forget() {}

  async mount({ data }) {
    return { root: `${data}/`, release: async () => undefined };
  }
}
