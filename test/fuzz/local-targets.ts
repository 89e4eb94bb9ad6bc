// Readers of files on this machine: what rrbackup remembers there, its configuration, the catalog's file, and what the system
// tells in text. Another program, a person or a broken disk may have written them.

import fs from 'node:fs';
import path from 'node:path';
import { makeExcludes } from '../../lib/backup/exclude.js';
import { beginsLikeLmdb, checkMeta, checkPages } from '../../lib/catalog/lmdb-file.js';
import { parseIni } from '../../lib/config/ini.js';
import { loadConfiguration } from '../../lib/config/load.js';
import { namesIn } from '../../lib/posix/xattr.js';
import { parseMounts } from '../../lib/posix/mount.js';
import { recallOpening } from '../../lib/repository/opening.js';
import { LocationState } from '../../lib/repository/state.js';
import { Journal } from '../../lib/restore/journal.js';
import type { OpenTarget } from './target.js';

const stream = 'aa'.repeat(16);

/** All that they write lies in this directory. */
export function localTargets(scratch: string): OpenTarget[] {
  const at = (...names: string[]): string => path.join(scratch, ...names);
  const state = new LocationState(at('state'), 'a place');
  state.makeDirectory();
  fs.mkdirSync(at('target'));
  const stateFile = (name: string): string => path.join(state.directory, name);
  const catalog = at('catalog.mdb');

  return [
    {
      name: 'opening',
      share: 300,
      read: (input) => {
        fs.writeFileSync(stateFile('opening.json'), input);
        const opening = recallOpening(state.directory);
        if (opening === undefined) return 'none';
        const { descriptor, slot, checkedLast, streams } = opening;
        isTrue(Buffer.isBuffer(descriptor), 'a descriptor');
        isTrue(checkedLast === 'descriptor' || checkedLast === 'slot', 'what was checked');
        if (slot !== undefined) {
          isTrue(typeof slot.key === 'string' && typeof slot.versionId === 'string', 'a slot');
          isTrue(Buffer.isBuffer(slot.bytes), "a slot's bytes");
        }
        isTrue(
          Object.values(streams).every((id) => typeof id === 'string'),
          'streams',
        );
        return 'opening';
      },
    },
    {
      name: 'state',
      share: 300,
      read: (input) => {
        fs.writeFileSync(stateFile('repository.json'), input);
        const memory = state.recall();
        if (memory === undefined) throw new Error('a file that is there is not seen');
        isTrue(/^[0-9a-f]{32}$/.test(memory.repositoryId), 'a repository id');
        isTrue(memory.encryption === 'password' || memory.encryption === 'none', 'an encryption');
        for (const { sequence, hash } of Object.values(memory.pins))
          isTrue(Number.isSafeInteger(sequence) && sequence > 0 && /^[0-9a-f]{64}$/.test(hash), 'a pin');
      },
    },
    {
      name: 'state-journal',
      share: 300,
      read: (input) => {
        fs.writeFileSync(stateFile(`${stream}.journal`), input);
        for (const pack of state.journal(stream)!) isTrue(/^[0-9a-f]{64}$/.test(pack), 'a pack');
        fs.writeFileSync(stateFile(`${stream}.checkpoint`), input.subarray(0, 20));
        const newest = state.newestCheckpoint(stream);
        isTrue(newest === undefined || Number.isSafeInteger(newest), 'a number');
      },
    },
    {
      name: 'restore-journal',
      share: 200,
      read: (input) => {
        const name = Buffer.from('.journal');
        fs.writeFileSync(at('target', '.journal'), input, { mode: 0o600 });
        const root = { descriptor: -1, path: Buffer.from(at('target')) };
        const subject = { repositoryId: '00'.repeat(16), stream, sequence: 1, paths: [] };
        const journal = Journal.begin(root, name, subject);
        // The input is not about this boot and this mount: nothing in it is trusted.
        isTrue(journal !== undefined && journal.trust([Buffer.from('a')]).length === 0, 'a journal');
        journal?.remove();
      },
    },
    {
      name: 'configuration',
      kinds: ['usage'],
      share: 200,
      read: async (input) => {
        for (const { entries } of parseIni(input.toString(), 'a file'))
          for (const { key } of entries) isTrue(key === key.trim(), 'a key');
        fs.writeFileSync(at('configuration.ini'), input, { mode: 0o600 });
        const surroundings = { environment: {}, cwd: scratch, home: scratch };
        const { sources, store } = await loadConfiguration({
          ...surroundings,
          file: at('configuration.ini'),
        });
        for (const source of sources) isTrue(path.isAbsolute(source.path), 'a source');
        return store.kind;
      },
    },
    {
      // Rules, a NUL, and a path.
      name: 'exclude',
      share: 300,
      read: (input) => {
        const nul = input.indexOf(0);
        const rules = input.toString('utf8', 0, nul < 0 ? input.length : nul);
        const excludes = makeExcludes(rules.split('\n'));
        const entry = nul < 0 ? Buffer.from('a/b.txt') : input.subarray(nul + 1);
        return String(excludes.excludes(safePath(entry), input.length % 2 === 0));
      },
    },
    {
      name: 'catalog-file',
      share: 100,
      allocated_bytes: 64 * 2 ** 20,
      read: (input) => {
        fs.writeFileSync(catalog, input);
        const descriptor = fs.openSync(catalog, 'r');
        try {
          beginsLikeLmdb(descriptor);
          checkMeta(descriptor);
          return checkPages(descriptor)?.replaceAll(/\d+/g, '#') ?? 'sound';
        } finally {
          fs.closeSync(descriptor);
        }
      },
    },
    {
      name: 'xattr-list',
      read: (input) => {
        for (const name of namesIn(input)) isTrue(name.length > 0 && !name.includes(0), 'a name');
      },
    },
    {
      name: 'mountinfo',
      read: (input) => {
        for (const { mountpoint, type, source, device } of parseMounts(input.toString('latin1')))
          isTrue(
            [mountpoint, type, source, device].every((text) => typeof text === 'string'),
            'a mount',
          );
      },
    },
  ];
}

function isTrue(condition: boolean, what: string): void {
  if (!condition) throw new Error(`not ${what}`);
}

/** As a scan makes them: names between slashes. */
function safePath(input: Buffer): Buffer {
  const names = input
    .toString('latin1')
    .split(/[/\0]+/)
    .filter((name) => name !== '' && name !== '.' && name !== '..');
  return Buffer.from(names.join('/'), 'latin1');
}
