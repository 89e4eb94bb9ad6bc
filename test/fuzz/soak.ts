// What scripts/soak-fuzz runs: MINUTES, or --seed N [TARGET].

import { randomInt } from 'node:crypto';
import { systemClock } from '../../lib/clock.js';
import { keepRegression } from './corpus.js';
import { WatchedFuzzer } from './watched.js';

/** Inputs in a round, of a target with a full share. */
const count = 4000;

const [first = '60', second, onlyTarget] = process.argv.slice(2);
const isReplay = first === '--seed';
const minutes = isReplay ? 0 : Number(first);
const firstSeed = isReplay ? Number(second) : randomInt(2 ** 31);
const now_s = (): number => systemClock.monotonic_ms() / 1000;
const until_s = minutes === 0 ? Infinity : now_s() + minutes * 60;
const print = (line: string): void => void process.stdout.write(`${line}\n`);

const begun_s = now_s();
let total = 0;
const fuzzer = await WatchedFuzzer.start();
for (let seed = firstSeed; now_s() < until_s; seed++) {
  const round_s = now_s();
  let inputs = 0;
  for (const target of fuzzer.targets) {
    if (onlyTarget !== undefined && target !== onlyTarget) continue;
    const done = await fuzzer.run({ target, seed, count });
    inputs += done.inputs;
    if (isReplay)
      print(
        `${target}: ${done.inputs} inputs, ${done.endings} different endings, ${done.cpu_ms} ms of processor`,
      );
    if (done.finding === undefined) continue;
    const { index, input, why } = done.finding;
    print(
      `FOUND: ${target}, seed ${seed}, input ${index}, kept as ${keepRegression(target, Buffer.from(input))}\n${why}`,
    );
    process.exit(1);
  }
  total += inputs;
  print(`seed ${seed}: ${inputs} inputs, ${Math.round(inputs / (now_s() - round_s))} a second`);
  if (isReplay) break;
}
await fuzzer.close();
print(`${total} inputs in ${Math.round(now_s() - begun_s)} s, seeds from ${firstSeed} on, nothing found`);
