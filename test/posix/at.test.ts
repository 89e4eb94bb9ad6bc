// Entries of a directory that is held open: nothing that stands there is ever taken away unasked, and no symlink is followed.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import {
  closeDescriptor,
  createIn,
  type HeldDirectory,
  makeSymlinkIn,
  openDirectoryIn,
  renameIfFree,
  renameOver,
} from '../../lib/posix/at.js';
import { scratchDirectory } from '../trees.js';

const name = (text: string): Buffer => Buffer.from(text);

void t.test('by a descriptor, and by a path where there is none', async (t) => {
  for (const isHeld of [true, false]) {
    const root = scratchDirectory(t);
    const at = (name: string): string => path.join(root, name);
    const descriptor = isHeld ? fs.openSync(root, fs.constants.O_RDONLY) : -1;
    const held: HeldDirectory = { descriptor, path: Buffer.from(root) };
    for (const file of ['one', 'two']) fs.writeFileSync(at(file), file);
    t.equal(renameIfFree(held, name('one'), name('two')), false);
    t.strictSame([fs.readFileSync(at('one'), 'utf8'), fs.readFileSync(at('two'), 'utf8')], ['one', 'two']);
    t.equal(renameIfFree(held, name('one'), name('free')), true);
    t.strictSame(fs.readdirSync(root).sort(), ['free', 'two']);
    renameOver(held, name('free'), name('two'));
    t.equal(fs.readFileSync(at('two'), 'utf8'), 'one');
    t.strictSame(fs.readdirSync(root), ['two']);

    makeSymlinkIn(held, name('link'), name('nowhere'));
    for (const taken of ['two', 'link'])
      t.throws(() => createIn(held, name(taken), 0o600), { code: 'EEXIST' }, taken);
    t.throws(() => makeSymlinkIn(held, name('two'), name('x')), { code: 'EEXIST' });
    t.notOk(fs.existsSync(at('nowhere')));
    fs.mkdirSync(at('directory'));
    fs.symlinkSync('directory', at('to it'));
    closeDescriptor(openDirectoryIn(held, name('directory')).descriptor);
    t.throws(() => openDirectoryIn(held, name('to it')), { code: /ELOOP|ENOTDIR/ });
    if (isHeld) fs.closeSync(descriptor);
  }
});
