// Describes trees from outside of the process that serves them: describe-child.js DIRECTORY… answers with a line of JSON for each,
// as test/trees.ts has it.

import { describeTree } from '../trees.js';

for (const directory of process.argv.slice(2))
  process.stdout.write(`${JSON.stringify(describeTree(directory))}\n`);
