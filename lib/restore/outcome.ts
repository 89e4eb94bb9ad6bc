// What has become of the entries of a restore so far: counted, and told as warnings and progress. Main thread only.

import { printable } from '../bytes/path.js';
import { contentsReason } from '../errors/contents.js';
import { RrbackupError } from '../errors/index.js';
import type { Run } from '../progress.js';
import { isOfDisk, mayBeOfTarget } from './failure.js';
import type { RestoreResult } from './index.js';
import type { EntriesResponse } from './messages.js';
import type { Totals } from './plan.js';
import { Warnings } from './warnings.js';

export class Outcome {
  readonly result = {
    files: 0,
    directories: 0,
    others: 0,
    alreadyRight: 0,
    inexact: 0,
    bytes: 0,
    conflicts: 0,
    failed: 0,
  } satisfies RestoreResult;
  readonly warnings = new Warnings();
  filesDone = 0;
  bytesDone = 0;
  /** Since somebody asked last. */
  #mayBeOfTarget = false;
  #isOfDisk = false;
  readonly #run: Run;
  readonly #totals: Totals;
  readonly #version: number;

  constructor(run: Run, totals: Totals, version: number) {
    this.#version = version;
    this.#run = run;
    this.#totals = totals;
  }

  /** Counts it. The paths, by `keyOf`, at which nothing is as it should be. */
  take(response: EntriesResponse): Set<string> {
    const { result, warnings } = this;
    result.files += response.files;
    result.others += response.others;
    result.alreadyRight += response.alreadyRight;
    result.inexact += response.inexact;
    result.bytes += response.written_bytes;
    for (const path of response.conflicts) this.conflict(path);
    for (const { path, error } of response.failed) this.failed(path, RrbackupError.fromPlain(error));
    for (const { group, message } of response.warnings) warnings.add(group, message);
    return new Set([...response.conflicts, ...response.failed.map(({ path }) => path)].map(keyOf));
  }

  /** A directory that is complete but for its attributes. */
  kept(path: Uint8Array): void {
    this.result.inexact++;
    this.warnings.add(
      'kept',
      `${printable(path)} keeps its owner, mode and time: it belongs to another user, or holds what is not of this version`,
    );
  }

  conflict(path: Uint8Array): void {
    this.result.conflicts++;
    this.#run.onWarning?.(`${printable(path)} is kept as it is: something else stands there already`);
  }

  failed(path: Uint8Array, error: RrbackupError): void {
    this.result.failed++;
    this.#mayBeOfTarget ||= mayBeOfTarget(error);
    this.#isOfDisk ||= isOfDisk(error);
    const isSystemCall = error.code.startsWith('restore.E');
    this.#run.onWarning?.(
      isSystemCall
        ? error.message
        : `${printable(path) || 'the target'} is not put back: ${contentsReason(error, `version ${this.#version}`)}`,
    );
  }

  /** Whether something has failed that everything in the target may fail of; once for all that has. */
  takeDoubts(): { readonly ofTarget: boolean; readonly ofDisk: boolean } {
    const doubts = { ofTarget: this.#mayBeOfTarget, ofDisk: this.#isOfDisk };
    this.#mayBeOfTarget = false;
    this.#isOfDisk = false;
    return doubts;
  }

  tellProgress(path: Uint8Array): void {
    this.#run.onProgress?.({
      phase: 'restore',
      files_done: this.filesDone,
      files_total: this.#totals.files,
      bytes_done: this.bytesDone,
      bytes_total: this.#totals.bytes,
      current: printable(path),
    });
  }

  /** Once: warnings that are told in groups. */
  tellWarnings(): void {
    this.warnings.tell(this.#run.onWarning);
  }
}

export function keyOf(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1');
}
