// What scripts/bench mount can be asked for.

import { commonUsage, readOptions as readCommonOptions, s3Usage } from '../bench-common/options.mjs';

export const usage = `scripts/bench mount [options]: every line of the mount's table, beside the disk, restic and borg, in one run

${commonUsage}${s3Usage}  --fuse-native        measure that mount driver too
  --config FILE        the lines 'mount*' take this configuration, with its catalog, as scripts/big-catalog makes them (state and
                       cache beside it); or RRBACKUP_BENCH_CONFIG

As root: kernel caches are dropped, and Ceph is the S3 server. --work keeps the repositories, too.
`;

export function readOptions(argv, environment) {
  return readCommonOptions(argv, {
    'fuse-native': { type: 'boolean', default: false },
    config: { type: 'string', default: environment.RRBACKUP_BENCH_CONFIG },
  });
}
