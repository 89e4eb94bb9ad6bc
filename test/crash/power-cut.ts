// A model of a disk that loses, in a power cut, everything that was not synced, as far as POSIX allows it: a file's content
// until the file was synced, each name (made, moved or removed) until its directory was. What of it does reach the disk is
// anybody's guess, one by one, in any order. It knows calls, nothing of stores.

import path from 'node:path';
import type { Around, DiskCall } from './disk.js';

interface Step {
  readonly call: DiskCall;
  /** What a new name stands for. */
  readonly file: number | undefined;
  readonly begun: number;
  /** Undefined while it is under way: it may have happened already. */
  ended: number | undefined;
  /** From when on a power cut cannot undo it any more; Infinity if it always can. */
  lasting: number;
}

export interface FoundFile {
  /** What was written to it. */
  readonly bytes: Buffer;
  /** Not all of that has reached the disk. */
  readonly torn: boolean;
}

export class PowerCutRecorder {
  readonly #root: string;
  readonly #steps: Step[] = [];
  /** Which file a name stood for last, to know what a link or a rename is about. */
  readonly #files = new Map<string, number>();
  readonly #contents = new Map<string, Buffer>();
  /** Counts beginnings and ends of calls: the moments at which the power may fail. */
  now = 0;

  constructor(root: string) {
    this.#root = root;
  }

  /** For standBetween. `forget`: calls that do as if they had not been made, to see that their absence is noticed. */
  around(forget?: 'sync' | 'syncDirectory'): Around {
    return async (call, action) => {
      if (call.name === forget) return action();
      const isNaming = call.name === 'link' || call.name === 'rename';
      const file = isNaming ? this.#files.get(call.from) : undefined;
      const step: Step = { call, file, begun: this.now++, ended: undefined, lasting: Infinity };
      this.#steps.push(step);
      try {
        const result = await action();
        step.ended = this.now++;
        if (call.name === 'create') this.#files.set(call.path, call.file);
        if (call.name === 'sync' || call.name === 'syncDirectory') this.#makeLast(step);
        return result;
      } catch (error) {
        this.#steps.splice(this.#steps.indexOf(step), 1);
        throw error;
      }
    };
  }

  /** A sync makes last what had ended before it began. */
  #makeLast({ call, begun, ended }: Step): void {
    for (const step of this.#steps) {
      if (step.ended === undefined || step.ended > begun || step.lasting !== Infinity) continue;
      const isCovered =
        call.name === 'sync'
          ? step.call.name === 'write' && step.call.file === call.file
          : call.name === 'syncDirectory' &&
            'path' in step.call &&
            path.dirname(step.call.path) === call.path;
      if (isCovered) step.lasting = ended!;
    }
  }

  /**
   * What is found after a power cut at a moment, by path; names in directories that are lost themselves are not. `survives`
   * says of each thing that may be lost whether it is there all the same.
   */
  cut(moment: number, survives: (call: DiskCall) => boolean): Map<string, FoundFile> {
    const directories = new Set([this.#root]);
    const names = new Map<string, number>();
    const contents = new Map<number, Uint8Array[]>();
    const torn = new Set<number>();
    for (const { call, file, begun, lasting } of this.#steps) {
      if (begun >= moment) continue;
      const remains = lasting <= moment || survives(call);
      switch (call.name) {
        case 'write':
          contents.set(call.file, [...(contents.get(call.file) ?? []), call.bytes]);
          if (!remains) torn.add(call.file);
          break;
        case 'mkdir':
          if (remains) directories.add(call.path);
          break;
        case 'create':
          if (remains) names.set(call.path, call.file);
          break;
        case 'link':
        case 'rename':
          if (remains) names.set(call.path, file!);
          break;
        case 'remove':
          if (remains) names.delete(call.path);
          break;
        default:
      }
    }
    const isReachable = (name: string): boolean => {
      for (let at = path.dirname(name); directories.has(at); at = path.dirname(at))
        if (at === this.#root) return true;
      return false;
    };
    return new Map(
      [...names]
        .filter(([name]) => isReachable(name))
        .map(([name, file]) => [
          name,
          { bytes: this.#contentOf(file, contents.get(file) ?? []), torn: torn.has(file) },
        ]),
    );
  }

  /** The same object for the same content: much is asked for again and again. */
  #contentOf(file: number, parts: readonly Uint8Array[]): Buffer {
    const key = `${file} ${parts.length}`;
    const bytes = this.#contents.get(key) ?? Buffer.concat(parts);
    this.#contents.set(key, bytes);
    return bytes;
  }
}
