// What scripts/bench mount can be asked for.

import { parseArgs } from 'node:util';

export const usage = `scripts/bench mount [options]: every line of the mount's table, beside the disk, restic and borg, in one run

  --quick              one round, on smaller data
  --rounds N           default 3
  --only GLOB[,GLOB]   only these lines, as in 'ls-*' or 's3-*' (--lines names them)
  --lines              name the lines and end
  --tools GLOB[,GLOB]  only these of disk, restic, borg, rrbackup
  --node PATH          measure rrbackup on this Node too
  --fuse-native        measure that mount driver too
  --dist DIR           where the project was built to (default: dist)
  --work DIR           keep data sets and repositories there and use them again; else a temporary directory
  --config FILE        the lines 'mount*' take this configuration, with its catalog, as scripts/big-catalog makes them (state and
                       cache beside it); or RRBACKUP_BENCH_CONFIG
  --round-trip MS      of the S3 lines, default 40
  --bandwidth MB       per second, of the S3 lines, default 25
  --json FILE          write all figures there

As root: kernel caches are dropped, and Ceph is the S3 server.
`;

export function readOptions(argv, environment) {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string', default: '*' },
      lines: { type: 'boolean', default: false },
      tools: { type: 'string', default: '*' },
      node: { type: 'string' },
      'fuse-native': { type: 'boolean', default: false },
      dist: { type: 'string', default: 'dist' },
      work: { type: 'string' },
      config: { type: 'string', default: environment.RRBACKUP_BENCH_CONFIG },
      'round-trip': { type: 'string', default: '40' },
      bandwidth: { type: 'string', default: '25' },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const options = {
    ...values,
    rounds: Number(values.rounds ?? (values.quick ? 1 : 3)),
    roundTrip_ms: Number(values['round-trip']),
    bandwidth_bytes_per_s: Number(values.bandwidth) * 1e6,
    isChosen: globs(values.only),
    isTool: globs(values.tools),
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
