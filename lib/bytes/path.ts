// Paths are bytes: components joined by '/', relative to the source, '' for its root. Any byte but '/' and NUL may occur.

const slash = 0x2f;
const dot = 0x2e;

/**
 * The order of every listing, scan and manifest: components compared bytewise, a directory before what it holds. It is the
 * order of a depth-first walk with sorted names.
 */
export function comparePaths(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a[index]!;
    const right = b[index]!;
    if (left === right) continue;
    if (left === slash) return -1;
    if (right === slash) return 1;
    return left - right;
  }
  return a.length - b.length;
}

export function joinPath(directory: Uint8Array, name: Uint8Array): Buffer {
  if (directory.length === 0) return Buffer.from(name);
  return Buffer.concat([directory, Buffer.of(slash), name]);
}

export function splitPath(path: Uint8Array): Buffer[] {
  const view = Buffer.from(path.buffer, path.byteOffset, path.byteLength);
  const names: Buffer[] = [];
  let from = 0;
  for (let at = view.indexOf(slash); ; at = view.indexOf(slash, from)) {
    const name = view.subarray(from, at < 0 ? undefined : at);
    if (name.length > 0) names.push(name);
    if (at < 0) return names;
    from = at + 1;
  }
}

/** The part before the last '/', and the part after it. */
export function parentAndName(path: Uint8Array): { parent: Buffer; name: Buffer } {
  const view = Buffer.from(path.buffer, path.byteOffset, path.byteLength);
  const at = view.lastIndexOf(slash);
  return at < 0
    ? { parent: Buffer.alloc(0), name: view }
    : { parent: view.subarray(0, at), name: view.subarray(at + 1) };
}

/** Every directory above a path, from the nearest to the root (''). The root has none. */
export function* ancestorPaths(path: Uint8Array): Generator<Buffer> {
  for (let at = path; at.length > 0;) {
    const { parent } = parentAndName(at);
    yield parent;
    at = parent;
  }
}

const longestName_bytes = 255;

/** True for a name that may stand in a manifest: not empty, not '.', not '..', without '/' and NUL, at most 255 bytes. */
export const isSafeName = (name: Uint8Array): boolean =>
  name.length > 0 && !name.includes(slash) && hasSafeNames(name, 0);

/** The same of all components behind `from` (the beginning of one). The path of the root has none. */
export function hasSafeNames(path: Uint8Array, from: number, end = path.length): boolean {
  if (end === 0) return true;
  for (let start = from; start <= end;) {
    let at = start;
    let isDots = true;
    for (let byte = path[at]!; at < end && byte !== slash; byte = path[++at]!) {
      if (byte === 0) return false;
      if (byte !== dot) isDots = false;
    }
    const size = at - start;
    if (size === 0 || size > longestName_bytes || (isDots && size <= 2)) return false;
    start = at + 1;
  }
  return true;
}

/** For people: UTF-8 where it is UTF-8, every other byte and every control character as \xNN; never raw control bytes. */
export function printable(bytes: Uint8Array): string {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = view.toString('utf8');
  const isUtf8 = !text.includes('\ufffd') || Buffer.from(text, 'utf8').equals(view);
  const source = isUtf8 ? text : view.toString('latin1');

  const unsafe = isUtf8
    ? /[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g
    : /[\x00-\x1f\x7f-\xff]/g;
  return source.replace(unsafe, (character) =>
    [...Buffer.from(character, isUtf8 ? 'utf8' : 'latin1')]
      .map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`)
      .join(''),
  );
}
