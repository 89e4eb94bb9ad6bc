// What is asked of the store when a machine opens a repository that it remembers, and what it notices all the same.

import fs from 'node:fs';
import t, { type Test } from 'tap';
import { backup } from '../../lib/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { Machine } from './fixture.js';

const password = (text: string) => ({
  configuration: { encryption: 'password', password: () => Promise.resolve(text) } as const,
});

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Made, backed up once and closed, by a machine whose every further call of the store is counted. */
async function remembered(t: Test, store = new MemoryStore(), passwords: readonly string[] = []) {
  const machine = new Machine(t, store);
  machine.write('a', '1');
  const first = await machine.open({}, password('one'));
  await backup(first, machine.source);
  const stream = first.streamId('source');
  for (const other of passwords) await first.addPassword(other, 'somebody');
  await first.close();
  const counted = new FaultStore(machine.store);
  return {
    machine,
    stream,
    counted,
    open: (text = 'one') =>
      machine
        .open({ sources: ['source'] }, { ...password(text), store: counted })
        .then((opened) => opened.close()),
    asked() {
      const calls = counted.calls.map(
        ({ operation, key }) => `${operation} ${key.replace(/[0-9a-f]{16,32}/, '#')}`,
      );
      counted.calls.length = 0;
      return calls.sort();
    },
    slots() {
      return collect(machine.store.list('keys/'));
    },
  };
}

const looks = {
  descriptor: 'get rrbackup.json',
  slot: 'list keys/#',
  history: 'list streams/#/commits/',
  histories: 'listPrefixes streams/',
};

void t.test('three requests open it for a backup', async (t) => {
  const { open, asked } = await remembered(t);
  await open();
  t.same(asked(), [looks.descriptor, looks.slot, looks.history]);
});

void t.test('who wants to see all histories, or begins one, asks for a list of them, too', async (t) => {
  const { machine, counted, open, asked } = await remembered(t);
  await open();
  asked();
  for (const sources of [undefined, ['source', 'new one'], ['source', 'new one']]) {
    await machine.open({ sources }, { ...password('one'), store: counted }).then((opened) => opened.close());
    t.same(asked(), [looks.descriptor, looks.slot, looks.history, looks.histories]);
  }
});

void t.test('where a commit needs a request more, descriptor and slot take turns', async (t) => {
  const { open, asked } = await remembered(t, new MemoryStore({ ignoresIfNoneMatch: true }));
  for (const look of [looks.descriptor, looks.slot, looks.descriptor]) {
    await open();
    t.same(asked(), [look, looks.history]);
  }
});

void t.test('another password opens its own slot, and is remembered then', async (t) => {
  const { open, asked } = await remembered(t, new MemoryStore(), ['two']);
  await open('two');
  t.ok(asked().length > 3);
  await open('two');
  t.equal(asked().length, 3);
  await t.rejects(open('three'), { code: 'keys.wrong_password' });
});

void t.test('a password that was taken away does not open any more', async (t) => {
  const { machine, open, slots } = await remembered(t, new MemoryStore(), ['two']);
  await open();
  const { slot } = JSON.parse(
    fs.readFileSync(machine.at('state', fs.readdirSync(machine.at('state'))[0]!, 'opening.json'), 'utf8'),
  );
  for (const { key, versionId } of await slots())
    if (key === slot.key) await machine.store.remove(key, versionId);
  await t.rejects(open(), { code: 'keys.wrong_password' });
  await open('two');
});

for (const ignoresIfNoneMatch of [false, true]) {
  const kind = ignoresIfNoneMatch ? 'by the second run at the latest' : 'at once';
  void t.test(`that nobody could open it any more is noticed ${kind}`, async (t) => {
    for (const lose of ['keys', 'descriptor'] as const) {
      const { machine, open, slots } = await remembered(t, new MemoryStore({ ignoresIfNoneMatch }));
      await open();
      const [descriptor] = await collect(machine.store.list('rrbackup.json'));
      for (const { key, versionId } of lose === 'keys' ? await slots() : [descriptor!])
        await machine.store.remove(key, versionId);
      const runs = async () => {
        for (let run = 0; run < (ignoresIfNoneMatch ? 2 : 1); run++) await open();
      };
      await t.rejects(runs(), { code: lose === 'keys' ? 'keys.none' : 'repository.gone' });
    }
  });
}

void t.test('a memory that is damaged or of another repository is none', async (t) => {
  const { machine, open } = await remembered(t);
  await open();
  const [place] = fs.readdirSync(machine.at('state'));
  const file = machine.at('state', place!, 'opening.json');
  const whole = fs.readFileSync(file, 'utf8');
  for (const text of [
    'not JSON',
    '{}',
    whole.replace('\\"mac\\": \\"', '\\"mac\\": \\"0'),
    whole.replace(/(conditional_create\\": )true/, '$1false'),
  ]) {
    fs.writeFileSync(file, text);
    await open();
    t.equal(fs.readFileSync(file, 'utf8'), whole, 'and is put right');
  }
});

void t.test('histories of other hosts are left alone, of a new source all are read', async (t) => {
  const { machine, stream, asked, counted } = await remembered(t);
  const other = new Machine(t, machine.store);
  other.write('b', '2');
  const there = await other.open({}, { configuration: { ...password('one').configuration, host: 'other' } });
  await backup(there, other.source);
  const streams = async (sources: string[]) => {
    const repository = await machine.open({ sources }, { ...password('one'), store: counted });
    return repository.catalog.streams().length;
  };
  t.equal(await streams(['source']), 1);
  asked();
  t.equal(await streams(['source', 'new']), 2);
  t.ok(asked().includes('listPrefixes streams/'));
  t.equal(await streams(['source']), 2);
  t.same(
    asked().filter((call) => call.includes('streams')),
    [looks.history],
  );
  const own = [];
  for await (const object of machine.store.list(`streams/${stream}/commits/`)) own.push(object);
  for (const { key, versionId } of own) await machine.store.remove(key, versionId);
  await t.rejects(streams(['source']), { code: 'repository.rolled_back' });
});

void t.test('a pin that the catalog does not hold has all histories read', async (t) => {
  const { machine, asked, counted } = await remembered(t);
  const other = new Machine(t, machine.store);
  const there = await other.open({}, { configuration: { ...password('one').configuration, host: 'other' } });
  other.write('b', '2');
  await backup(there, other.source);
  const repository = await machine.open({}, password('one'));
  const pinned = repository.catalog.streams().find(({ host }) => host === 'other')!;
  await repository.close();
  for (const file of fs.readdirSync(machine.at('cache')))
    fs.rmSync(machine.at('cache', file), { recursive: true });
  const anew = await machine.open({ sources: ['source'] }, { ...password('one'), store: counted });
  t.ok(asked().includes('listPrefixes streams/'));
  t.ok(anew.catalog.stream(pinned.id));
});

void t.test('a version that was just committed is taken in as it stands there', async (t) => {
  const { machine, stream } = await remembered(t);
  const reader = await machine.open({}, password('one'));
  const writer = await machine.open({}, password('one'));
  machine.write('a', '2');
  await backup(writer, machine.source);
  const key = `streams/${stream}/commits/0000000002`;
  const stored = await machine.store.stat(key);
  const { versionId, size_bytes } = stored!;
  const hash = writer.catalog.version(stream, 2)!.hash;
  await t.rejects(reader.takeIn(stream, 2, { hash: '0'.repeat(64), versionId, size_bytes }), {
    code: 'manifest.damaged',
  });
  await reader.takeIn(stream, 2, { hash, versionId, size_bytes });
  t.equal(reader.catalog.stream(stream)?.head, 2);
  t.match(reader.state.recall()?.pins[stream], { sequence: 2, hash });
});
