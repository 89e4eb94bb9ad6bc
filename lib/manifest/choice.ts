// Which of several objects at one log entry's key is the version: pure, by hashes alone. Also the sentences for histories
// that do not hold together.

import { damaged, RrbackupError } from '../errors/index.js';
import type { Contents } from './root.js';
import type { VersionHeader } from './types.js';

/** An object that the repository's keys prove to be a log entry with this number. */
export interface Candidate {
  readonly hash: string;
  readonly versionId: string;
  /** Of the root, as it is stored. */
  readonly size_bytes: number;
  /** By the store's clock. */
  readonly modified_ms: number;
  readonly header: VersionHeader;
  readonly contents: Contents;
}

/** Everything at one key: candidates with distinct hashes, and why some object there is none. */
export interface Entrants {
  readonly sequence: number;
  readonly candidates: readonly Candidate[];
  readonly failure: RrbackupError | undefined;
}

const recoverGuidance = 'run "rrbackup recover", which rebuilds what the packs still tell';
const storeGuidance = 'find out who changed the store; "rrbackup check" shows what is affected';

export function missingCommits(stream: string, first: number, last: number): RrbackupError {
  const which = first === last ? `version ${first} is` : `versions ${first} to ${last} are`;
  return new RrbackupError({
    code: 'manifest.missing_commit',
    kind: 'damaged',
    message: `the manifest of ${which} missing in stream ${stream}`,
    guidance: recoverGuidance,
  });
}

export function forked(stream: string, sequence: number): RrbackupError {
  return new RrbackupError({
    code: 'manifest.forked',
    kind: 'tampered',
    message: `version ${sequence} of stream ${stream} does not go with the history around it`,
    guidance: storeGuidance,
  });
}

export function rolledBack(stream: string, sequence: number): RrbackupError {
  return new RrbackupError({
    code: 'manifest.rolled_back',
    kind: 'tampered',
    message: `version ${sequence} of stream ${stream}, which was there before, is not in the store any more`,
    guidance: storeGuidance,
  });
}

/** A machine has died between putting its entry and seeing that it was not the first; or is about to see it. */
export function undecided(stream: string, sequence: number): RrbackupError {
  return new RrbackupError({
    code: 'manifest.undecided',
    kind: 'damaged',
    message: `two entries stand in the place of version ${sequence} of stream ${stream}, and nothing says which of them counts`,
    guidance:
      'two machines of one name are backing up the same source, or one of them was stopped while it did: run the command again ' +
      'in a while; if this stays so, run a backup on the other machine, or "rrbackup recover"',
  });
}

/** No object at the key is the version. */
function noneFits(stream: string, { sequence, failure }: Entrants): RrbackupError {
  if (failure?.kind === 'newer_format') return failure;
  const what = `version ${sequence} of stream ${stream}`;
  // What reads it names it, too.
  const why = failure === undefined ? '' : `: ${failure.message.replace(`${what}: `, '')}`;
  return damaged('manifest.damaged_commit', `${what} cannot be read${why}`, failure);
}

/** Whether one of those that follow names this one as its parent. */
export function isParent(hash: string, following: Entrants | undefined): boolean {
  return following?.candidates.some(({ header }) => header.parentHash === hash) === true;
}

export interface Neighbours {
  /** Of the version before; '' where there is none. */
  readonly parentHash: string;
  readonly following?: Entrants | undefined;
  /** Several writers may have put at one key, all but one to withdraw what they put. */
  readonly mayRace?: boolean;
}

/**
 * The candidate that names `parentHash` as its parent; of several, the one that the next version names as its own parent.
 * Undefined where nothing stands at the key any more. Throws where nothing fits or nothing decides.
 */
export function choose(
  stream: string,
  entrants: Entrants,
  { parentHash, following, mayRace = false }: Neighbours,
): Candidate | undefined {
  const { sequence, candidates, failure } = entrants;
  if (candidates.length === 0 && failure === undefined) return undefined;
  if (candidates.length === 0) throw noneFits(stream, entrants);
  const fitting = candidates.filter(({ header }) => header.parentHash === parentHash);
  if (fitting.length === 1) return fitting[0];
  const continued = fitting.filter(({ hash }) => isParent(hash, following));
  if (continued.length === 1) return continued[0];
  if (mayRace && fitting.length > 1) throw undecided(stream, sequence);
  throw forked(stream, sequence);
}
