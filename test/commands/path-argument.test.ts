import t from 'tap';
import fc from 'fast-check';
import { pathReadings } from '../../commands/path-argument.js';
import { printable } from '../../lib/bytes/path.js';
import { runs } from '../runs.js';

const source = Buffer.from('/home/me');
const readings = (text: string): string[] =>
  pathReadings(text, source).map((path) => path.toString('latin1'));

t.test('relative paths, absolute ones of the source, and those from its root', async (t) => {
  t.strictSame(readings('a/b'), ['a/b']);
  t.strictSame(readings('./a//b/'), ['a/b']);
  t.strictSame(readings(''), ['']);
  t.strictSame(readings('.'), ['']);
  t.strictSame(readings('/home/me/a'), ['a', 'home/me/a']);
  t.strictSame(readings('/home/me'), ['', 'home/me']);
  t.strictSame(readings('/home/melinda'), ['home/melinda']);
  t.strictSame(readings('/'), ['']);
  t.strictSame(readings('../a'), ['../a']);
});

t.test('a source that is the root of the file system', async (t) => {
  t.strictSame(pathReadings('/etc/hosts', Buffer.from('/')).map(String), ['etc/hosts']);
});

t.test('names that are not text can be typed as they are shown', async (t) => {
  t.strictSame(readings('a\\xff'), ['a\\xff', 'a\xff']);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
      const name = Buffer.from(bytes).filter((byte) => byte !== 0x2f && byte !== 0 && byte !== 0x2e);
      if (name.length === 0) return true;
      return pathReadings(printable(name), source).some((reading) => reading.equals(name));
    }),
    runs(500),
  );
});
