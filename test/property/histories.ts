// Trees that change from version to version in every way that the catalog has to tell apart.

import fc from 'fast-check';

import type { Entry } from '../../lib/manifest/types.js';
import { directory, file, sortedPaths, streamOf, symlink, type Tree } from '../catalog/trees.js';

export const stream = streamOf(1);
const names = ['a', 'a\x01', 'aa', 'b', '\x01', '\xff', 'a\xff'];

export interface Step {
  readonly kind: 'file' | 'directory' | 'symlink' | 'remove' | 'rename' | 'link' | 'mode' | 'times';
  readonly at: number;
  readonly to: number;
  readonly name: string;
}

export const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    'file',
    'file',
    'directory',
    'directory',
    'symlink',
    'remove',
    'rename',
    'link',
    'mode',
    'times',
  ),
  at: fc.nat(1000),
  to: fc.nat(1000),
  name: fc.constantFrom(...names),
});
export const history = fc.array(fc.array(step, { maxLength: 8 }), { minLength: 1, maxLength: 6 });

const below = (tree: Tree, top: string): string[] =>
  [...tree.keys()].filter((key) => key === top || key.startsWith(`${top}/`));
export const join = (parent: string, name: string): string => (parent === '' ? name : `${parent}/${name}`);

let inode = 10n;

export function mutate(before: Tree, { kind, at, to, name }: Step): Tree {
  const tree = new Map(before);
  const paths = sortedPaths(tree.keys()).slice(1);
  const directories = ['', ...paths.filter((key) => tree.get(key)!.type === 'directory')];
  const parent = directories[at % directories.length]!;
  const target = join(parent, name);
  const victim = paths[to % paths.length];
  const replace = (entry: Entry): void => {
    if (entry.type !== 'directory' || tree.get(target)?.type !== 'directory')
      for (const key of below(tree, target)) tree.delete(key);
    tree.set(target, entry);
  };
  if (kind === 'file') replace(file(`content ${to % 5}`, { inode: inode++ }));
  else if (kind === 'directory') replace(directory({ inode: inode++, mode: 0o700 + (to % 8) }));
  else if (kind === 'symlink') replace(symlink(`target ${to % 3}`, { inode: inode++ }));
  else if (victim === undefined) return tree;
  else if (kind === 'remove') for (const key of below(tree, victim)) tree.delete(key);
  else if (kind === 'mode') tree.set(victim, { ...tree.get(victim)!, mode: to % 0o777 });
  else if (kind === 'times')
    tree.set(victim, { ...tree.get(victim)!, ctime_ns: BigInt(at), mtime_ns: BigInt(to % 3) });
  else if (kind === 'rename' && !target.startsWith(victim) && !victim.startsWith(target)) {
    const moved = below(tree, victim).map((key) => [key, tree.get(key)!] as const);
    for (const key of below(tree, target)) tree.delete(key);
    for (const [key] of moved) tree.delete(key);
    for (const [key, entry] of moved) tree.set(target + key.slice(victim.length), entry);
  } else if (kind === 'link' && tree.get(victim)!.type === 'file' && !tree.has(target)) {
    const linked = { ...tree.get(victim)!, links: 2 };
    tree.set(victim, linked);
    tree.set(target, linked);
  }
  return tree;
}

export function treesOf(steps: Step[][]): Tree[] {
  let tree: Tree = new Map([['', directory({ inode: 2n })]]);
  return steps.map((some) => (tree = some.reduce(mutate, tree)));
}
