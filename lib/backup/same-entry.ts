// Whether two entries are the same to the last attribute: their encodings are.

import { ByteWriter } from '../bytes/cursor.js';
import { encodeEntry } from '../manifest/entry.js';
import type { Entry } from '../manifest/types.js';

const left = new ByteWriter();
const right = new ByteWriter();

export function isSameEntry(a: Entry, b: Entry): boolean {
  left.reset();
  right.reset();
  encodeEntry(left, a);
  encodeEntry(right, b);
  return left.view().equals(right.view());
}
