// The thread that fuzzes: whoever started it sees from outside if an input never ends or fills the memory. Takes jobs one after
// another, answers each with what was found.

import { parentPort, workerData } from 'node:worker_threads';
import { corpusOf, regressionsOf } from './corpus.js';
import { fuzz } from './fuzzer.js';
import { inputAt, type Done, type FuzzData, type Job } from './job.js';
import { tryInput } from './target.js';
import { openTargets } from './targets.js';

const fullShare = 1000;
const { scratch, current } = workerData as FuzzData;
const targets = await openTargets(scratch);
const atHand = new DataView(current);
let number = 0;

function onInput(input: Buffer): void {
  number++;
  atHand.setUint32(inputAt.length, input.length);
  new Uint8Array(current, inputAt.bytes).set(input);
  atHand.setUint32(inputAt.number, number);
}

async function perform({ target: name, seed, count }: Job): Promise<Done> {
  const target = targets.find((one) => one.name === name);
  if (target === undefined) throw new RangeError(`no target ${name}`);
  const before = process.cpuUsage();
  const inputs = Math.ceil((count * (target.share ?? fullShare)) / fullShare);
  for (const regression of regressionsOf(name)) {
    onInput(regression);
    await tryInput(target, regression);
  }
  const tried = await fuzz(target, corpusOf(name), { seed, count: inputs, onInput });
  const { user, system } = process.cpuUsage(before);
  const { finding } = tried;
  return {
    ...tried,
    cpu_ms: Math.round((user + system) / 1000),
    finding: finding && {
      index: finding.index,
      input: finding.input,
      why:
        finding.error instanceof Error
          ? (finding.error.stack ?? finding.error.message)
          : String(finding.error),
    },
  };
}

parentPort!.on('message', (job: Job | 'close') => {
  void (async () => {
    if (job !== 'close') return parentPort!.postMessage(await perform(job));
    for (const target of targets) await target.close?.();
    parentPort!.close();
  })();
});
parentPort!.postMessage(targets.map(({ name }) => name));
