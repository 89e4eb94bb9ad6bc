// Schedules without end, from a seed on, until the first finding or Ctrl-C; scripts/soak-simulation starts it.
//   node dist/test/simulation/soak.js chain|repository [FIRST SEED] [HOW MANY]

import { simulateChain } from './chain.js';
import { simulateRepository } from './repository.js';
import { firstFailure, numbers } from './run.js';
import { runBackupsHere } from './threads-here.js';

const [level = 'repository', first = '1', count = 'Infinity'] = process.argv.slice(2);
const simulate = level === 'chain' ? simulateChain : simulateRepository;
const stride = level === 'chain' ? 1000 : 20;
const end = Number(first) + Number(count);

runBackupsHere();
for (let from = Number(first); from < end; from += stride) {
  const failure = await firstFailure(simulate, numbers(from, Math.min(stride, end - from)));
  if (failure === undefined) {
    process.stdout.write(`${level}: seeds ${from} to ${Math.min(from + stride, end) - 1}: nothing found\n`);
    continue;
  }
  const { seed, message, trace } = failure;
  process.stdout.write(`${trace.join('\n')}\n${message}\n\nseed ${seed}; again with: `);
  process.stdout.write(`scripts/soak-simulation ${level} ${seed} 1\n`);
  process.exitCode = 1;
  break;
}
