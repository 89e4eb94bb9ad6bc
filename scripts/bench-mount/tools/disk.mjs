// The disk itself: what every mount is held against.

export class Disk {
  name = 'disk';
  kind = 'disk';
  stores = ['directory'];

  async version() {
    return 'the data where it lies';
  }

  async prepare() {}

  async forget() {}

  async mount({ data }) {
    return { root: `${data}/`, release: async () => undefined };
  }
}
