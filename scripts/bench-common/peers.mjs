// Other builds and versions of the tools, as --peer NAME=PATH gives them: NAME begins with the tool whose command line the program at
// PATH speaks.

import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Borg } from './tools/borg.mjs';
import { Restic } from './tools/restic.mjs';
import { Rrbackup } from './tools/rrbackup.mjs';

const makers = {
  restic: (session, name, path) => new Restic(session, { name, command: path }),
  borg: (session, name, path) => new Borg(session, { name, command: path }),
  rrbackup: (session, name, path) => {
    const [node, program] = path.endsWith('.js') ? [process.execPath, path] : [path];
    return new Rrbackup(session, { kind: 'peer', name, node, program, driver: 'kernel' });
  },
};

const known = Object.keys(makers);

/** { name, tool, path } for each; throws what is to be said of one that cannot be. */
export function readPeers(texts) {
  const names = new Set(known);
  return texts.map((text) => {
    const [, name, given] = /^([A-Za-z0-9][\w.+-]*)=(.+)$/.exec(text) ?? [];
    if (name === undefined) throw new Error(`--peer wants NAME=PATH, not '${text}'`);
    const tool = known.find((each) => name.startsWith(each));
    if (tool === undefined)
      throw new Error(`--peer ${name}: NAME begins with the tool that it is a build of: ${known.join(', ')}`);
    if (names.has(name)) throw new Error(`--peer ${name}: another tool of this run is called so`);
    names.add(name);
    const path = resolve(given);
    try {
      accessSync(path, path.endsWith('.js') ? constants.R_OK : constants.X_OK);
      if (!statSync(path).isFile()) throw new Error('it is no file');
    } catch (error) {
      throw new Error(`--peer ${name}: ${path} cannot be run: ${error.message}`);
    }
    return { name, tool, path };
  });
}

export const makePeer = (session, { name, tool, path }) => makers[tool](session, name, path);
