// The mark of a restore: never behind anything that is not settled or not right.

import t from 'tap';
import fc from 'fast-check';
import { comparePaths } from '../../lib/bytes/path.js';
import { Mark } from '../../lib/restore/mark.js';

t.test('everything before it is settled and right, whatever the order', (t) => {
  const steps = fc.array(fc.record({ settles: fc.nat(), isRight: fc.boolean(), isAdded: fc.boolean() }));
  fc.assert(
    fc.property(steps, (steps) => {
      const mark = new Mark();
      const right = new Set<Buffer>();
      const underway: Buffer[] = [];
      const all: Buffer[] = [];
      for (const { settles, isRight, isAdded } of steps) {
        if (isAdded || underway.length === 0) {
          const path = Buffer.from(`d${String(all.length).padStart(6, '0')}/f`);
          mark.add(path);
          underway.push(path);
          all.push(path);
        } else {
          const [path] = underway.splice(settles % underway.length, 1);
          mark.settle(path!, isRight);
          if (isRight) right.add(path!);
        }
        const { before } = mark;
        if (all.some((path) => comparePaths(path, before) < 0 && !right.has(path))) return false;
        // And it does move on.
        if (right.size === all.length && before !== all.at(-1)) return false;
      }
      return true;
    }),
  );
  t.end();
});

t.test('a directory that is left out holds it', (t) => {
  const mark = new Mark();
  mark.fail(Buffer.from('b'));
  for (const name of ['a', 'c']) {
    const path = Buffer.from(name);
    mark.add(path);
    mark.settle(path, true);
  }
  t.strictSame(mark.before, Buffer.from('b'));
  t.end();
});
