// What scripts/bench and scripts/bench memory can be asked for.

import { commonUsage, readOptions as readCommonOptions, s3Usage } from '../bench-common/options.mjs';

export const usage = `scripts/bench [options]: backup and restore beside restic and borg, in turn, in one run: wall and CPU seconds, peak
memory, stored bytes and requests

${commonUsage}${s3Usage}
As root: owners are restored, and Ceph is the S3 server.

scripts/bench memory [--long] [options]: rrbackup's peak memory by the number of files
scripts/bench mount [options]: the mount; see its --help
`;

export const readOptions = (argv) => readCommonOptions(argv);
