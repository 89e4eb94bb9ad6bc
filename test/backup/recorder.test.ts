// What a worker makes of findings: stretches of rows that a commit can take, figures, and what cannot be read.

import t from 'tap';
import type { FileReader } from '../../lib/backup/file-reader.js';
import type { Previous } from '../../lib/backup/findings.js';
import type { PackMaker } from '../../lib/backup/pack-maker.js';
import { Recorder } from '../../lib/backup/recorder.js';
import { manifestLimits } from '../../lib/manifest/layout.js';
import type { EncodedRow } from '../../lib/manifest/row-stream.js';
import { RowReader } from '../../lib/manifest/rows.js';
import { MutableStatus } from '../../lib/manifest/status.js';

t.test('however many rows come in a row: in stretches that a part of a commit takes', async (t) => {
  const recorded: string[] = [];
  let runs = 0;
  const packs = {
    record: ({ path }: EncodedRow) => recorded.push(Buffer.from(path).toString()),
    endRun: () => void runs++,
  } as unknown as PackMaker;
  const recorder = new Recorder({} as FileReader, packs);
  const previous: Previous = {
    status: new MutableStatus(),
    directory: undefined,
    entry: () => t.fail() as never,
  };
  recorder.begin();
  const paths: string[] = [];
  // Names that have nothing in common with those before them, so that front coding saves nothing.
  for (let index = 0; index < 80_000; index++)
    paths.push(
      `${String.fromCharCode(0x100 + (index >> 8))}${String(index).padStart(6, '0')}${'n'.repeat(230)}`,
    );
  paths.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const path of paths) recorder.removed(Buffer.from(path), previous);
  const found = recorder.take();
  t.ok(recorder.isEnough());
  t.equal(runs, 1, 'one run for the records of the pack');
  t.ok(found.length > 1);
  const read: string[] = [];
  for (const finding of found) {
    if (finding.kind !== 'rows') throw new Error(`not a stretch of rows: ${finding.kind}`);
    const { bytes, count, first, last } = finding.rows;
    if (bytes.length > manifestLimits.part_bytes) t.fail(`${bytes.length} bytes in one stretch`);
    const rows = [...new RowReader('rows').read(bytes)].map(({ path }) => path.toString());
    t.strictSame(
      [rows.length, rows[0], rows.at(-1)],
      [count, Buffer.from(first).toString(), Buffer.from(last).toString()],
    );
    read.push(...rows);
  }
  t.ok(read.join() === paths.join() && recorded.join() === paths.join());
  t.equal(recorder.takeRemarks().figures.counts.removed, paths.length);
  t.strictSame(recorder.take(), []);
});
