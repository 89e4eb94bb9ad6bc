// Which versions and files are damaged, in the words and the JSON that `check` and `repair` share.

import { printable } from '../../lib/bytes/path.js';
import { versionsText } from '../../lib/catalog/version-ranges.js';
import type { CheckResult } from '../../lib/index.js';
import { bytesToJson } from './json.js';
import type { Report } from './report.js';
import { counted } from './units.js';

type HurtFile = CheckResult['files'][number];
type Ranges = HurtFile['versions'];
type Stream = Pick<CheckResult['streams'][number], 'id' | 'host' | 'source'>;

/** Without -v. */
const listedFiles = 50;

export const rangesToJson = (ranges: Ranges): number[][] => ranges.map(({ from, to }) => [from, to]);

export async function tellHurtFiles(
  {
    streams,
    files,
    fileCount,
  }: { streams: readonly Stream[]; files: readonly HurtFile[]; fileCount: number },
  report: Report,
  isVerbose: boolean,
): Promise<void> {
  const names = new Map(streams.map((stream) => [stream.id, stream]));
  const shown = isVerbose ? files : files.slice(0, listedFiles);
  for (const { stream, path, versions } of shown) {
    const { host, source } = names.get(stream)!;
    await report.line(`  ${source} of ${host}, ${versionsText(versions)}: ${printable(path)}`);
  }
  if (fileCount > shown.length) {
    const more = isVerbose ? '' : ' (-v names up to 1,000)';
    await report.line(`  and ${counted(fileCount - shown.length, 'more file')}${more}`);
  }
}

export function hurtFilesToJson(
  files: readonly HurtFile[],
  streams: readonly Stream[],
): Record<string, unknown>[] {
  const names = new Map(streams.map(({ id, host, source }) => [id, { host, source }]));
  return files.map(({ stream, path, versions, pack }) => ({
    ...names.get(stream),
    ...bytesToJson('path', path),
    versions: rangesToJson(versions),
    pack: pack ?? null,
  }));
}
