// Scenario 26: whatever bytes a decoder is given, it gives a value or an RrbackupError of its kind; no other exception, no hang, no
// memory beyond the limits of the format. The seed is a new one in every run and printed; inputs that failed once stay.

import { randomInt } from 'node:crypto';
import t from 'tap';
import { runs } from '../runs.js';
import { keepRegression } from './corpus.js';
import { WatchedFuzzer } from './watched.js';

const inputs = 3000;
const seed = Number(process.env['RRBACKUP_FUZZ_SEED'] ?? randomInt(2 ** 31));

void t.test('any bytes', async (t) => {
  t.comment(`seed ${seed}`);
  const fuzzer = await WatchedFuzzer.start();
  for (const target of fuzzer.targets) {
    const { finding, endings, ...rest } = await fuzzer.run({ target, seed, count: runs(inputs).numRuns });
    t.comment(`${target}: ${rest.inputs} inputs, ${endings} different endings, ${rest.cpu_ms} ms`);
    const found = finding && { ...finding, input: keepRegression(target, Buffer.from(finding.input)) };
    t.strictSame(found, undefined, `${target}, seed ${seed}`);
    if (finding?.index === -1) return;
  }
  await fuzzer.close();
});
