// A store that shows an older or another history than this machine has seen is not believed. Here that is said in words.

import type { Catalog, VersionInfo } from '../catalog/index.js';
import { RrbackupError } from '../errors/index.js';
import type { LocationState, Pin } from './state.js';

const wayOut =
  'if streams/ was deleted, rrbackup recover rebuilds it from the packs; if you have put an older copy of the store back, or ' +
  'ran recover on another machine, rrbackup init --adopt accepts it as it is; otherwise find out who changed the store';

const gapCodes = new Set([
  'manifest.missing_commit',
  'manifest.damaged_commit',
  'manifest.damaged',
  'manifest.undecided',
  'catalog.bad_commit',
]);

/** What a person calls the stream. */
export function streamName(catalog: Catalog, stream: string): string {
  const info = catalog.stream(stream);
  return info === undefined ? `stream ${stream}` : `${info.source} on ${info.host}`;
}

/** An error of the chain or the catalog about a stream, with its name and the way out; any other error as it is. */
export function explainChainError(error: unknown, catalog: Catalog, stream: string): unknown {
  if (!(error instanceof RrbackupError)) return error;
  const name = streamName(catalog, stream);
  switch (error.code) {
    case 'manifest.rolled_back':
      return alarm(
        'repository.rolled_back',
        `versions of ${name} that this machine has seen are gone from the store`,
        error,
      );
    case 'manifest.forked':
    case 'catalog.forked':
      return alarm(
        'repository.forked',
        `the store shows another history of ${name} than this machine has seen`,
        error,
      );
    case 'manifest.undecided':
      return new RrbackupError({
        code: error.code,
        kind: 'damaged',
        message: `the newest version of ${name} does not show yet: ${error.message}`,
        ...(error.guidance !== undefined && { guidance: error.guidance }),
        cause: error,
      });
    case 'manifest.missing_commit':
    case 'manifest.damaged_commit':
    case 'manifest.damaged':
    case 'catalog.bad_commit':
      return new RrbackupError({
        code: error.code,
        kind: 'damaged',
        message: `the history of ${name} has a gap: ${error.message}`,
        guidance:
          'the versions before it can be used, but none can be added behind it; rrbackup recover rebuilds lost log entries ' +
          'from the packs; where that is no help, go on under another name of the source',
        cause: error,
      });
    default:
      return error;
  }
}

/** Whether a stream's history ends in a gap: of no consequence for the versions before it and for other streams. */
export function isGap(error: unknown): error is RrbackupError {
  return error instanceof RrbackupError && gapCodes.has(error.code);
}

function alarm(code: string, message: string, cause?: unknown): RrbackupError {
  return new RrbackupError({ code, kind: 'tampered', message, guidance: wayOut, cause });
}

/** Whether every version pinned here is in the catalog as it was. */
export function holdsPins(catalog: Catalog, state: LocationState): boolean {
  return missedPins(catalog, state).next().done === true;
}

/** Throws unless every version pinned here is in the catalog as it was. */
export function checkPins(catalog: Catalog, state: LocationState): void {
  for (const { stream, pin, version } of missedPins(catalog, state)) {
    const what = `version ${pin.sequence} of ${streamName(catalog, stream)}, which this machine has seen,`;
    throw version === undefined
      ? alarm('repository.rolled_back', `${what} is gone from the store`)
      : alarm('repository.forked', `${what} is not the one that the store shows now`);
  }
}

/** Pinned versions that the catalog has not, or has another in their place. */
function* missedPins(
  catalog: Catalog,
  state: LocationState,
): Generator<{ stream: string; pin: Pin; version: VersionInfo | undefined }, void, undefined> {
  for (const [stream, pin] of Object.entries(state.recall()?.pins ?? {})) {
    // What the catalog is still to take in is held against its pin then.
    const known = catalog.stream(stream);
    if (known?.lacksPast === true && pin.sequence < known.firstSequence) continue;
    const version = catalog.version(stream, pin.sequence);
    if (pin.sequence > 0 && version?.hash !== pin.hash) yield { stream, pin, version };
  }
}
