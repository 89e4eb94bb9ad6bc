// Who takes how much of what is left to do.

import t from 'tap';
import { Agenda } from '../../lib/backup/agenda.js';
import type { Finding } from '../../lib/backup/messages.js';

const place = (name: string): Finding => ({
  kind: 'place',
  place: { kind: 'scan', path: Buffer.from(name), directory: undefined, isTop: false },
});

const namesOf = (taken: ReturnType<Agenda['take']>): string[] =>
  taken.map((each) => Buffer.from(each.place.path).toString());

t.test('whoever takes places leaves as many for each of the others', (t) => {
  const agenda = new Agenda([...'abcde'].map(place));
  t.strictSame(namesOf(agenda.take(32, 4)), ['a', 'b']);
  t.strictSame(namesOf(agenda.take(32, 3)), ['c']);
  t.strictSame(namesOf(agenda.take(32, 2)), ['d']);
  t.strictSame(namesOf(agenda.take(32, 1)), ['e']);
  t.strictSame(namesOf(agenda.take(32, 1)), []);
  t.strictSame(namesOf(new Agenda([...'abcde'].map(place)).take(1, 4)), ['a'], 'no more than is asked for');
  t.end();
});

t.test('what a place leads to stands where it stood', (t) => {
  const agenda = new Agenda([...'ac'].map(place));
  const [a] = agenda.take(1, 1);
  a!.settle([place('a/b'), place('a/d')]);
  t.strictSame(namesOf(agenda.take(32, 1)), ['a/b', 'a/d', 'c']);
  t.notOk(agenda.isEmpty);
  t.equal(agenda.shift(), undefined);
  t.end();
});
