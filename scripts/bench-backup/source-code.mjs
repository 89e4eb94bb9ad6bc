// Source code as a vendored tree has it: the text files of the project's own dependencies (the lock file says which), in several
// releases side by side, where a release repeats most files of the others and differs in some lines of the rest.

import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { numbers, word } from '../bench-common/seeds.mjs';

const dependencies = fileURLToPath(new URL('../../node_modules', import.meta.url));
const kinds = new Set(['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.map', '.json', '.md']);
/** Smaller files are left out: a vendored tree's are some 50 KB on average. */
const least_bytes = 4600;
/** Of a hundred files, those that a release does not share with the first. */
const changed_percent = 55;
/** In a changed file, one line is added for each of these, and one at least. */
const distance_bytes = 40_000;

/** Paths below `directory` in order. */
function* sourceFiles(directory, below = '') {
  const entries = readdirSync(join(directory, below), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(below, entry.name);
    if (entry.isDirectory()) yield* sourceFiles(directory, path);
    else if (
      entry.isFile() &&
      kinds.has(extname(path)) &&
      lstatSync(join(directory, path)).size >= least_bytes
    )
      yield path;
  }
}

function edit(content, next) {
  const pieces = [];
  let from = 0;
  for (let edits = 1 + Math.floor(content.length / distance_bytes); edits > 0; edits--) {
    const limit = from + Math.floor((content.length - from) / edits);
    const lineEnd = content.indexOf(0x0a, from + next(Math.max(1, limit - from)));
    if (lineEnd < 0) break;
    pieces.push(
      content.subarray(from, lineEnd + 1),
      Buffer.from(`// ${word(next)} ${word(next)} ${word(next)}\n`),
    );
    from = lineEnd + 1;
  }
  return Buffer.concat([...pieces, content.subarray(from)]);
}

/** A data set. `share`: of all files, the part that is taken. */
export function sourceCode({ releases, share }) {
  return {
    about: `source code of the project's own dependencies, ${releases} releases of it that differ in half of the files${share < 1 ? `; ${share * 100} % of it` : ''}`,
    make: (directory) => {
      const next = numbers('source code');
      const paths = [...sourceFiles(dependencies)].filter(() => next(1000) < share * 1000);
      for (let release = 0; release < releases; release++) {
        for (const path of paths) {
          const target = join(directory, `release-${release}`, path);
          mkdirSync(dirname(target), { recursive: true });
          const content = readFileSync(join(dependencies, path));
          const isChanged = release > 0 && next(100) < changed_percent;
          writeFileSync(target, isChanged ? edit(content, next) : content);
        }
      }
    },
  };
}
