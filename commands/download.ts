import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { Command, Option } from 'clipanion';
import { systemClock } from '../lib/clock.js';
import type { Configuration } from '../lib/config/types.js';
import { RrbackupError, exitStatus } from '../lib/errors/index.js';
import { restore } from '../lib/index.js';
import { reasonOf } from '../lib/posix/libc.js';
import { readNamedFile, readStream } from '../lib/posix/small-file.js';
import type { Report } from './presentation/report.js';
import { counted, formatBytes, formatCount, formatDuration } from './presentation/units.js';
import { ReadingCommand, versionForms } from './reading.js';

/** Of a list of paths: some two million of them. */
const mostListed_bytes = 256 * 2 ** 20;

export class DownloadCommand extends ReadingCommand {
  static override paths = [['download'], ['restore']];
  static override usage = Command.Usage({
    category: 'Get back',
    description: 'Put a version, or files and directories of it, into a directory',
    details: `
      Other name: \`restore\`. Makes TARGET where it is missing. Without PATH: the whole version. PATH is a file, a directory
      with all it holds, or a glob pattern (quote it: \`'**/*.odt'\`). Files that are there already and are the same stay; those
      that differ stay too, are reported and make the exit status 3, unless \`--overwrite\` or \`--in-place\` is given. Every
      byte is verified before it is written.

      A download that was interrupted goes on where it stopped: every file that has its name is complete, what is already right
      is not fetched or written again, and what nobody has touched since is not even read. Hidden files in TARGET say how far it
      came and hold what there is of large files, until all is done. Only with \`--in-place\` a file may be left partly old and
      partly new; its time is then that of the interruption, and the same download completes it.

      A TARGET that belongs to another user (but root) is refused, as are symlinks of other users on the way to it: they could
      exchange files while they are put back. With \`--into-foreign\` it is written into all the same; nothing outside TARGET is
      changed even then. What could not be put back with its owner, permissions, time and attributes is counted, one line a
      kind, and makes the exit status 3.

      ${versionForms}
    `,
    examples: [
      ['A whole version', '$0 download latest /tmp/back'],
      ['One directory and some files', "$0 download 2026-11-20 /tmp/back Documents '**/*.odt'"],
      ['Paths from a file, one a line', '$0 download 7 /tmp/back --files-from list.txt'],
    ],
  });

  overwrite = Option.Boolean('--overwrite', false, { description: 'Replace what is there and differs' });
  inPlace = Option.Boolean('--in-place', false, {
    description: 'The same, but write only the parts that differ, into the file that is there; not atomic',
  });
  setuid = Option.Boolean('--setuid', false, {
    description: 'Put setuid and setgid bits of your files back though you are not root',
  });
  intoForeign = Option.Boolean('--into-foreign', false, {
    description: 'Write into directories that belong to other users, and follow their symlinks to TARGET',
  });
  filesFrom = Option.String('--files-from', { description: 'A file with one PATH a line; - is stdin' });
  versionText = Option.String({ name: 'VERSION' });
  target = Option.String({ name: 'TARGET' });
  patterns = Option.Rest({ name: 'PATH' });

  protected override async perform(report: Report): Promise<number> {
    const listed = this.filesFrom === undefined ? [] : await this.#readList(this.filesFrom);
    const target = resolve(this.context.cwd, this.target);
    return this.withRepository(report, { access: 'read' }, async ({ repository, configuration, run }) => {
      refuseInRepository(target, configuration);
      const { catalog } = repository;
      const stream = this.stream(repository, configuration);
      const version = this.version(catalog, stream, this.versionText, report);
      const { sequence } = version.header;
      // What stands in the version is meant as it is typed; the rest are patterns, or a mistake that restore explains.
      const typed = this.patterns.map((text) => this.find(catalog, stream, sequence, text)?.path ?? text);
      const paths = [...typed, ...listed];
      const { overwrite, inPlace, setuid, intoForeign } = this;
      const began_ms = systemClock.monotonic_ms();
      const result = await restore(repository, {
        ...run,
        stream: stream.id,
        sequence,
        target,
        paths,
        overwrite,
        inPlace,
        setuid,
        intoForeign,
      });
      const elapsed_ms = systemClock.monotonic_ms() - began_ms;
      await report.json({
        source: stream.source,
        version: sequence,
        target,
        files: result.files,
        directories: result.directories,
        others: result.others,
        already_right: result.alreadyRight,
        written_bytes: result.bytes,
        conflicts: result.conflicts,
        failed: result.failed,
        inexact: result.inexact,
        elapsed_ms: Math.round(elapsed_ms),
      });
      const { conflicts, failed, inexact } = result;
      const clauses = [
        `version ${sequence} of ${stream.source}: ${counted(result.files, 'file')} in ${target}`,
        `${formatBytes(result.bytes)} verified and written, ${counted(result.alreadyRight, 'file')} right already`,
        ...(conflicts === 0 ? [] : [`${counted(conflicts, 'other file')} in the way KEPT (see --overwrite)`]),
        ...(failed === 0 ? [] : [`${formatCount(failed)} COULD NOT BE PUT BACK`]),
        ...(inexact === 0 ? [] : [`${formatCount(inexact)} WITHOUT ALL OF THEIR ATTRIBUTES`]),
        formatDuration(elapsed_ms),
      ];
      await report.summary(clauses.join('; '));
      const isWhole = conflicts + failed + inexact === 0 && !this.isInPart(catalog, stream, version);
      return isWhole ? 0 : exitStatus.incomplete;
    });
  }

  /** Lines, or where there is a NUL byte what NUL bytes separate (find -print0); bytes, since names need not be text. */
  async #readList(file: string): Promise<Buffer[]> {
    let content: Buffer;
    try {
      const { cwd, stdin, signal } = this.context;
      const options = { most_bytes: mostListed_bytes, signal };
      content =
        file === '-'
          ? await readStream(stdin as Readable, options)
          : (await readNamedFile(resolve(cwd, file), options)).bytes;
    } catch (error) {
      if (error instanceof RrbackupError) throw error;
      throw new RrbackupError({
        code: 'usage',
        kind: 'usage',
        message: `the list ${file} cannot be read: ${reasonOf(error)}`,
        guidance: 'name a file with one path a line, or - for stdin',
        cause: error,
      });
    }
    const paths = content
      .toString('latin1')
      .split(content.includes(0) ? '\0' : /\r?\n/)
      .filter((path) => path !== '')
      .map((path) => Buffer.from(path, 'latin1'));
    if (paths.length > 0) return paths;
    throw new RrbackupError({
      code: 'usage',
      kind: 'usage',
      message: `there is no path in ${file}`,
      guidance: 'without --files-from and PATH the whole version is downloaded',
    });
  }
}

/** Files among the packs would be taken for parts of the repository, and `--overwrite` could replace some. */
function refuseInRepository(target: string, { store }: Configuration): void {
  if (store.kind !== 'directory') return;
  if (target !== store.path && !target.startsWith(`${store.path}/`)) return;
  throw new RrbackupError({
    code: 'usage',
    kind: 'usage',
    message: `${target} lies in the repository ${store.path}`,
    guidance: 'name a directory elsewhere',
  });
}
