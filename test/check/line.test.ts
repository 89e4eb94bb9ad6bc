// Which versions were the history, by run ids alone.

import t from 'tap';
import { type Candidate, bestLine, bestLines } from '../../lib/check/line.js';
import type { VersionHeader } from '../../lib/manifest/types.js';

function candidate(sequence: number, run: string, parentRun: string, finished_ns = 0n): Candidate {
  return { header: { sequence, run, parentRun, finished_ns } as VersionHeader, packs: [] };
}

const beginning = { sequence: 0, run: '' };
const runsOf = (line: readonly Candidate[]) => line.map(({ header }) => header.run).join(' ');

void t.test('the longest line, whatever ended last', async (t) => {
  const candidates = [
    candidate(1, 'a', ''),
    candidate(2, 'left over', 'a', 90n),
    candidate(2, 'b', 'a', 20n),
    candidate(3, 'c', 'b', 30n),
  ];
  t.equal(runsOf(bestLine(candidates, beginning)), 'a b c');
  t.equal(runsOf(bestLine(candidates.reverse(), beginning)), 'a b c');
});

void t.test('of two that nobody built upon, the later', async (t) => {
  const candidates = [candidate(1, 'a', ''), candidate(2, 'x', 'a', 20n), candidate(2, 'y', 'a', 30n)];
  t.equal(runsOf(bestLine(candidates, beginning)), 'a y');
  t.equal(runsOf(bestLine(candidates.reverse(), beginning)), 'a y');
});

void t.test('it goes on from what is there, not from a longer line of another history', async (t) => {
  const candidates = [
    candidate(1, 'a', ''),
    ...[2, 3, 4, 5].map((sequence) =>
      candidate(sequence, `old ${sequence}`, sequence === 2 ? 'a' : `old ${sequence - 1}`),
    ),
    candidate(2, 'new 2', 'a'),
    candidate(3, 'new 3', 'new 2'),
  ];
  t.equal(runsOf(bestLine(candidates, { sequence: 2, run: 'new 2' })), 'new 3');
  t.equal(runsOf(bestLine(candidates, { sequence: 3, run: 'new 3' })), '');
  t.equal(runsOf(bestLine(candidates, beginning)), 'a old 2 old 3 old 4 old 5');
});

void t.test('nothing is built upon what is missing', async (t) => {
  t.strictSame(bestLine([], beginning), []);
  t.strictSame(bestLine([candidate(2, 'b', 'a'), candidate(3, 'c', 'b')], beginning), []);
  t.equal(runsOf(bestLine([candidate(1, 'a', ''), candidate(3, 'c', 'b')], beginning)), 'a');
});

void t.test('behind what is missing the first orphan goes on, and so on', async (t) => {
  const candidates = [
    candidate(1, 'a', ''),
    // Another child of what is lost, and one of it.
    candidate(3, 'dead', 'b', 90n),
    candidate(3, 'c', 'b', 20n),
    candidate(4, 'd', 'c', 30n),
    candidate(7, 'g', 'f'),
    candidate(8, 'h', 'g'),
  ];
  t.equal(runsOf(bestLines(candidates, beginning)), 'a c d g h');
  t.equal(runsOf(bestLines(candidates, { sequence: 6, run: 'f' })), 'g h');
  t.equal(runsOf(bestLines(candidates.slice(1), beginning)), 'c d g h');
  t.equal(runsOf(bestLines(candidates.slice(0, 1), beginning)), 'a');
  t.strictSame(bestLines([], beginning), []);
});

void t.test('no history that was given up is taken for what comes behind a hole', async (t) => {
  const candidates = [
    candidate(1, 'a', ''),
    candidate(2, 'old 2', 'a'),
    candidate(3, 'old 3', 'old 2'),
    candidate(4, 'old 4', 'old 3'),
  ];
  t.equal(runsOf(bestLines(candidates, { sequence: 2, run: 'new 2' })), '');
});
