// The maps cannot rot: what test/README.md and lib/crypto/README.md name is there, and no room of test/ is left out.

import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const project = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => fs.readFileSync(`${project}/${file}`, 'utf8');
const isThere = (file: string): boolean => fs.existsSync(`${project}/${file}`);
const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ');

const rooms = fs
  .readdirSync(`${project}/test`, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

void t.test('test/README.md', async (t) => {
  const map = read('test/README.md');
  const named = [...map.matchAll(/`([\w-]+)\/([\w.-]*)/g)].map(([, room, name]) => [room!, name!] as const);
  for (const [room, name] of named) {
    const file =
      name === '' ? `test/${room}` : room === 'scripts' ? `scripts/${name}` : `test/${room}/${name}.test.ts`;
    t.ok(isThere(file), file);
  }
  t.strictSame(
    rooms.filter((room) => !map.includes(`\`${room}/\``)),
    [],
    'every room is in the table',
  );
  t.strictSame(
    [...map.matchAll(/^\| (\d+) \|/gm)].map(([, number]) => Number(number)),
    Array.from({ length: 30 }, (_, index) => index + 1),
    'every scenario is',
  );
});

/** As it is written there: _file.test: title_, test/room/_file.test_, and _title_ for another one. */
void t.test('lib/crypto/README.md', async (t) => {
  const tests = new Map<string, string>();
  for (const room of rooms)
    for (const name of fs.readdirSync(`${project}/test/${room}`))
      if (name.endsWith('.test.ts')) tests.set(`${room}/${name}`, oneLine(read(`test/${room}/${name}`)));
  const named = [
    ...read('lib/crypto/README.md').matchAll(/(?:test\/([\w-]+)\/)?(?<!\w)_(?=\S)([^_`]*\S)_(?!\w)/g),
  ];
  t.ok(named.length > 30);
  for (const [, room, text] of named) {
    const [, file, title = file === undefined ? text! : ''] =
      /^([\w-]+)\.test(?:: (.*))?$/s.exec(text!) ?? [];
    const wanted = oneLine(title).replace(/ ?…$/, '');
    if (wanted === 'the same') continue;
    const found = [...tests].filter(
      ([name, content]) =>
        (room === undefined || name.startsWith(`${room}/`)) &&
        (file === undefined || name.endsWith(`/${file}.test.ts`)) &&
        content.includes(wanted),
    );
    t.not(found.length, 0, text!);
  }
});
