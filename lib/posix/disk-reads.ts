// What this thread has had disks fetch: what took long without that only had no core.

import { declare } from './libc.js';

const getrusage = declare('int getrusage(int who, void *usage)');
const RUSAGE_THREAD = 1;
/** struct rusage where a C long has eight bytes, and which of its numbers is ru_inblock. */
const usage = new BigInt64Array(18);
const bytes = Buffer.from(usage.buffer);
const inblock_at = 11;
const canAsk = process.platform === 'linux' && !['arm', 'ia32'].includes(process.arch);

/** In blocks, since it began; of all threads of the process where the system, or its layout here, does not tell them apart. */
export function blocksFetched(): number {
  if (!canAsk) return process.resourceUsage().fsRead;
  getrusage(RUSAGE_THREAD, bytes);
  return Number(usage[inblock_at]);
}
