// What this machine remembers of a place where it keeps a repository: which repository it is, the newest commit seen of each
// stream (pins), and the packs of a run under way (journals). Small files under the XDG state directory; losing them costs
// only the memory, so where they cannot be written there is a warning and no error. Not the catalog: that one is rebuilt, this is
// what a rolled-back store is recognised by.

import fs from 'node:fs';
import path from 'node:path';
import { sha256 } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import { errorCode, reasonOf } from '../posix/reason.js';
import { readOwnFile } from '../posix/small-file.js';
import { distrustedOnWay, distrustInWords, foreignGuidance, makeTrustedDirectories } from '../posix/trust.js';

export interface Pin {
  readonly sequence: number;
  /** SHA-256 (hex) of the commit's root object. */
  readonly hash: string;
}

export interface Memory {
  readonly location: string;
  readonly repositoryId: string;
  readonly encryption: 'password' | 'none';
  readonly pins: Readonly<Record<string, Pin>>;
}

const repositoryIdPattern = /^[0-9a-f]{32}$/;
const sha256Pattern = /^[0-9a-f]{64}$/;

export class LocationState {
  readonly directory: string;
  readonly #location: string;
  readonly #onWarning: ((message: string) => void) | undefined;
  #hasWarned = false;

  /** `location` is the store's own (ObjectStore.location). Nothing is written before something is remembered. */
  constructor(stateDirectory: string, location: string, onWarning?: (message: string) => void) {
    this.#location = location;
    this.#onWarning = onWarning;
    this.directory = path.join(stateDirectory, sha256(Buffer.from(location)).toString('hex').slice(0, 16));
  }

  /** Throws 'state.foreign' where another user could change what is remembered, or have it written to another place. */
  recall(): Memory | undefined {
    this.#refuseForeign();
    const file = path.join(this.directory, 'repository.json');
    const text = readIfThere(file);
    if (text === undefined) return undefined;
    const memory = memoryIn(text);
    if (memory !== undefined) return memory;
    throw new RrbackupError({
      code: 'state.damaged',
      kind: 'damaged',
      message: `the file ${file}, which remembers the repository at ${this.#location}, is damaged`,
      guidance: 'run rrbackup init --adopt to take the repository as it is now; nothing stored is lost',
    });
  }

  remember(memory: Omit<Memory, 'location'>): void {
    const text = `${JSON.stringify({ location: this.#location, ...memory }, undefined, 2)}\n`;
    this.#replace('repository.json', text);
  }

  /** Where everything here is kept. Errors: 'state.denied', 'state.foreign'. */
  makeDirectory(): void {
    try {
      this.#refuseForeign(makeTrustedDirectories(this.directory));
    } catch (error) {
      throw error instanceof RrbackupError ? error : denied(this.directory, error);
    }
  }

  #refuseForeign(found = distrustedOnWay(this.directory)): void {
    if (found === undefined) return;
    throw new RrbackupError({
      code: 'state.foreign',
      kind: 'usage',
      message: `what this machine remembers of its repositories would be in other hands: ${distrustInWords(found)}`,
      guidance: foreignGuidance('XDG_STATE_HOME', found),
    });
  }

  /** Does what writes into the directory. Undefined, and a warning the first time, where the system does not let it. */
  attempt<Result>(work: () => Result): Result | undefined {
    try {
      this.#refuseForeign(makeTrustedDirectories(this.directory));
      return work();
    } catch (error) {
      if (errorCode(error) === undefined || error instanceof RrbackupError) throw error;
      if (!this.#hasWarned)
        this.#onWarning?.(
          `${this.directory} cannot be written (${reasonOf(error)}), so this machine does not remember what it sees of the ` +
            'repository and would not notice a store that is rolled back; make room there and let this user write, or set ' +
            'XDG_STATE_HOME to another directory',
        );
      this.#hasWarned = true;
      return undefined;
    }
  }

  #replace(name: string, text: string): void {
    this.attempt(() => replaceFile(path.join(this.directory, name), text));
  }

  pin(stream: string, pin: Pin): void {
    const memory = this.recall();
    if (memory === undefined) return;
    const known = memory.pins[stream];
    if (known?.sequence === pin.sequence && known.hash === pin.hash) return;
    this.remember({ ...memory, pins: { ...memory.pins, [stream]: pin } });
  }

  forgetPins(): void {
    const memory = this.recall();
    if (memory !== undefined) this.remember({ ...memory, pins: {} });
  }

  /** Forgets the repository, its pins and journals. */
  forget(): void {
    this.#refuseForeign();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  lockPath(stream: string): string {
    return path.join(this.directory, `${stream}.lock`);
  }

  /** Names of the packs that a run without a commit has begun to store; undefined if this machine knows of no run at all. */
  journal(stream: string): string[] | undefined {
    const text = readIfThere(path.join(this.directory, journalName(stream)));
    // A line cut short by a crash is a pack that was not sent.
    return text?.split('\n').filter((line) => sha256Pattern.test(line));
  }

  /** To be called before the pack is sent. */
  journalAdd(stream: string, pack: string): void {
    const file = path.join(this.directory, journalName(stream));
    const line = `${pack}\n`;
    this.attempt(() => {
      // That this machine has begun a run must outlast a power cut: a last pack that nobody knows of looks like a lost history.
      if (fs.existsSync(file)) return fs.appendFileSync(file, line);
      replaceFile(file, line);
      syncDirectory(this.directory);
    });
  }

  /** After a commit: nothing is under way. */
  journalClear(stream: string): void {
    this.#replace(journalName(stream), '');
  }

  /** The newest checkpoint of the stream that this machine knows of; the store may have newer ones. */
  newestCheckpoint(stream: string): number | undefined {
    const text = readIfThere(path.join(this.directory, checkpointName(stream))) ?? '';
    return /^\d{1,10}\n$/.test(text) ? Number(text) : undefined;
  }

  noteCheckpoint(stream: string, sequence: number): void {
    this.#replace(checkpointName(stream), `${sequence}\n`);
  }
}

const checkpointName = (stream: string): string => `${stream}.checkpoint`;
const journalName = (stream: string): string => `${stream}.journal`;

/** Undefined for what this program cannot have written. */
function memoryIn(text: string): Memory | undefined {
  try {
    const memory = JSON.parse(text) as Memory;
    const { location, repositoryId, encryption, pins } = memory;
    const isOurs =
      typeof location === 'string' &&
      isText(repositoryId, repositoryIdPattern) &&
      (encryption === 'password' || encryption === 'none') &&
      isObject(pins) &&
      Object.values(pins).every(isPin);
    return isOurs ? memory : undefined;
  } catch {
    return undefined;
  }
}

/** A pattern alone would take ['…'] for the text in it. */
const isText = (value: unknown, pattern: RegExp): boolean => typeof value === 'string' && pattern.test(value);

const isObject = (value: unknown): boolean => value?.constructor === Object;

const isPin = (value: Pin): boolean =>
  isObject(value) &&
  Number.isSafeInteger(value.sequence) &&
  value.sequence > 0 &&
  isText(value.hash, sha256Pattern);

function readIfThere(file: string): string | undefined {
  try {
    return readOwnFile(file);
  } catch (error) {
    throw denied(file, error);
  }
}

function denied(file: string, error: unknown): RrbackupError {
  return new RrbackupError({
    code: 'state.denied',
    kind: 'failure',
    message: `${file}, where this machine remembers its repositories, cannot be used: ${reasonOf(error)}`,
    guidance: 'make it readable and writable for this user, or set XDG_STATE_HOME to a directory that is',
    cause: error,
  });
}

/** Whole or not at all, also through a power cut. Throws as the system does. */
function replaceFile(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.new`;
  try {
    const fd = fs.openSync(temporary, 'w', 0o600);
    try {
      fs.writeFileSync(fd, text);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

/** Names in it outlast a power cut from here on, where its file system can promise that. */
function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(fd);
  } catch {
    // Some network and FUSE file systems know no fsync of directories.
  } finally {
    fs.closeSync(fd);
  }
}
