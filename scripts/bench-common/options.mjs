// The options that every benchmark has, and how they are read.

import { parseArgs } from 'node:util';
import { readPeers } from './peers.mjs';

export const commonUsage = `  --quick              one round, on smaller data
  --rounds N           default 3
  --only GLOB[,GLOB]   only these lines (--lines names them)
  --lines              name the lines and end
  --tools GLOB[,GLOB]  only these of disk, restic, borg, rrbackup, and peers by NAME
  --peer NAME=PATH     one more tool, for example restic-0.18=/usr/local/bin/restic: a binary that speaks the command line of the
                       tool with which NAME begins (restic, borg or rrbackup; a build's commands/main.js, too); may be repeated
  --node PATH          measure rrbackup on this Node too
  --dist DIR           where the project was built to (default: dist)
  --work DIR           keep the data sets there and use them again; else a temporary directory
  --json FILE          write all figures there
`;

export const s3Usage = `  --round-trip MS      of the slow S3 lines, default 40
  --bandwidth MB       per second, of the slow S3 lines, default 25
`;

/** `more`: what this benchmark has besides, as for parseArgs; `rounds`: how many where nothing is said. */
export function readOptions(argv, more = {}, rounds = 3) {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string', default: '*' },
      lines: { type: 'boolean', default: false },
      tools: { type: 'string', default: '*' },
      peer: { type: 'string', multiple: true, default: [] },
      node: { type: 'string' },
      dist: { type: 'string', default: 'dist' },
      work: { type: 'string' },
      'round-trip': { type: 'string', default: '40' },
      bandwidth: { type: 'string', default: '25' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
      ...more,
    },
  });
  const options = {
    ...values,
    rounds: Number(values.rounds ?? (values.quick ? 1 : rounds)),
    roundTrip_ms: Number(values['round-trip']),
    bandwidth_bytes_per_s: Number(values.bandwidth) * 1e6,
    isChosen: globs(values.only),
    isTool: globs(values.tools),
    peers: readPeers(values.peer),
  };
  for (const name of ['rounds', 'roundTrip_ms', 'bandwidth_bytes_per_s'])
    if (!(options[name] > 0)) throw new Error(`'${name}' is no number above 0`);
  return options;
}

function globs(list) {
  const patterns = list.split(',').map(
    (glob) =>
      new RegExp(
        `^${glob
          .replace(/[.+^${}()|[\]\\]/g, '\\$&')
          .replaceAll('*', '.*')
          .replaceAll('?', '.')}$`,
      ),
  );
  return (name) => patterns.some((pattern) => pattern.test(name));
}
