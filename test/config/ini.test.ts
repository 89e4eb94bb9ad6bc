import t from 'tap';
import fc from 'fast-check';
import { parseIni } from '../../lib/config/ini.js';
import { runs } from '../runs.js';

const values = (text: string): Record<string, string> =>
  Object.fromEntries(
    parseIni(text, 'f').flatMap((section) => section.entries.map(({ key, value }) => [key, value])),
  );

t.test('the first of : and = ends the key, and the value stands as written', async (t) => {
  t.match(values('[main]\na: b=c:d\ne = f : g\nh:i\nj=k\nl :  =m\n'), {
    a: 'b=c:d',
    e: 'f : g',
    h: 'i',
    j: 'k',
    l: '=m',
  });
  t.equal(
    values('[main]\np: "quoted" \\n %(x)s $HOME # no comment ; nor this')['p'],
    '"quoted" \\n %(x)s $HOME # no comment ; nor this',
  );
});

t.test('whole lines are comments, indented ones too, and keys are not case-sensitive', async (t) => {
  t.strictSame(values('# one\n; two\n[main]\n  # three\nBase_Path = x\n  ; four\n'), { base_path: 'x' });
});

t.test('a deeper line goes on with the value; comments inside of it do not', async (t) => {
  t.strictSame(values('[main]\nexclude =\n  *.o\n  # not this\n\n  /build/\nhost: h\n'), {
    exclude: '*.o\n\n/build/',
    host: 'h',
  });
  t.strictSame(
    values('[main]\n  a: 1\n  b: 2\n'),
    { a: '1', b: '2' },
    'a section that is indented as a whole',
  );
  t.strictSame(values('[a]\nb:\n  [c]\n'), { b: '[c]' });
});

t.test('line ends of Windows and a byte order mark', async (t) => {
  t.strictSame(values('\ufeff[main]\r\na: 1\r\n'), { a: '1' });
});

t.test('lines are counted', async (t) => {
  const [main, other] = parseIni('\n[main]\n\na: 1\n[other] # why\n', 'f');
  t.match([main?.line, main?.entries[0]?.line, other?.line, other?.name], [2, 4, 5, 'other']);
});

t.test('what is not INI is named with its line', async (t) => {
  const message = (text: string): string => {
    try {
      parseIni(text, '/etc/x.ini');
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };
  t.equal(
    message('[main]\nnothing'),
    "/etc/x.ini, line 2: neither '[section]' nor 'key: value' nor a comment",
  );
  t.equal(message('[main'), "/etc/x.ini, line 1: neither '[section]' nor 'key: value' nor a comment");
  t.equal(message('[main]\n: x'), "/etc/x.ini, line 2: neither '[section]' nor 'key: value' nor a comment");
  t.equal(message('a: b'), '/etc/x.ini, line 1: a value before the first section');
  t.equal(message('[main]\na: 1\nA = 2'), "/etc/x.ini, line 3: the key 'a' stands in line 2 already");
  t.equal(message('[main]\na: 1\n[main]'), '/etc/x.ini, line 3: section [main] stands in line 1 already');
});

t.test('any one-line value without blanks at its ends comes back', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const value = text.replace(/[\r\n]/g, '').trim();
      return values(`[main]\ncrypt_password: ${value}\n`)['crypt_password'] === value;
    }),
    runs(500),
  );
});

t.test('anything else gives sections or a sentence, never a crash', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('[a]', '[', ']', 'k', ':', '=', '\n', ' ', '#', '\t', '\0')),
      (parts) => {
        try {
          return Array.isArray(parseIni(parts.join(''), 'f'));
        } catch (error) {
          return (error as { code?: string }).code === 'config.syntax';
        }
      },
    ),
    runs(500),
  );
});
