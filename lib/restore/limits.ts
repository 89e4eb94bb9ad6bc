// Everything that bounds the memory of a restore, in one place. None of it depends on how many files or bytes there are: at most
// `requestsAhead` requests are under way beside one for each thread, each with `unit_bytes` of blocks where they come over a network, and
// each thread keeps `keptBlocks` plain blocks and the two buffers of its decoder (10 MiB at most).

const KiB = 1024;
const MiB = 1024 * KiB;

export const limits = {
  /** Entries that one request puts back: enough that a message costs nothing beside them, few enough to show progress. */
  unitEntries: 512,
  /** The same where blocks come over a network: twice as many make almost half the requests where files came in many versions. */
  fetchedEntries: 1024,
  /** Their content, or where blocks come over a network the blocks that hold it. */
  unit_bytes: 8 * MiB,
  /** Larger files are put back in pieces of `unit_bytes`, by several threads at once. */
  wholeFile_bytes: 8 * MiB,
  /** Of those. Each has a temporary file and its list of chunks in memory. */
  largeFilesOpen: 2,
  /** Requests given out beyond one for each thread, so that no thread ever waits for the main one. */
  requestsAhead: 2,
  /** The same where blocks are fetched meanwhile: 64 MiB in the air fill any line of up to 640 MiB/s and 100 ms. */
  fetchesAhead: 8,
  /** Hard links that wait for the first name of their file: the walk through the version goes no further meanwhile. */
  linksWaiting: 4096,
  /** Plain blocks that a thread keeps: neighbours in a directory lie in one block. Larger ones hold one chunk, and are used once. */
  keptBlocks: 24,
  keptBlock_bytes: 256 * KiB,
  /** Of stored blocks that the main thread has fetched: what two neighbouring requests share is fetched once. */
  fetched_bytes: 16 * MiB,
  /** Of the disk cache: of a restore of more than that it keeps nothing. */
  cacheShare: 1 / 8,
  /** A restore of no more than that is done before threads would have started. */
  inlineEntries: 512,
  inline_bytes: 16 * MiB,
  /** Beyond it threads only wait for each other in the file system. */
  threads: 16,
} as const;
