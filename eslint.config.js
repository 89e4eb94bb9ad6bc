// The house rules that a machine checks: layers import downwards only, one importer per outside library, one clock.
import tseslint from 'typescript-eslint';

// Bottom first. A room may import itself and any room that stands before it.
const layers = [
  ['errors'],
  ['clock', 'bytes', 'progress', 'program'],
  ['posix'],
  ['workers', 'compression', 'chunking'],
  ['crypto', 'store'],
  ['keys'],
  ['pack'],
  ['manifest'],
  ['catalog'],
  ['repository'],
  ['backup', 'restore', 'mount', 'check'],
  ['config'],
];
const rooms = layers.flat();

// Each outside library has the rooms that may import it.
const owners = {
  '@aws-sdk/*': ['store'],
  '@smithy/*': ['store'],
  'libsodium-wrappers-sumo': ['crypto'],
  'node:crypto': ['crypto'],
  koffi: ['posix', 'compression', 'crypto'],
  lmdb: ['catalog'],
  '@bokuweb/zstd-wasm': ['compression'],
  'fuse-native': ['mount'],
  clipanion: [],
};

const forbidden = (room) => {
  const level = layers.findIndex((layer) => layer.includes(room));
  const above = rooms.filter(
    (other) => other !== room && layers.findIndex((l) => l.includes(other)) >= level,
  );
  const sameLevelFree = above.filter((other) => !(layers[level].includes(other) && level <= 1));
  return [
    { regex: '/commands/', message: 'lib never imports a command' },
    ...sameLevelFree.map((other) => ({
      regex: `^(\\.\\./)+${other}(/|\\.js$)`,
      message: `lib/${room} may not import lib/${other}: imports point down only (lib/README.md)`,
    })),
    ...Object.entries(owners)
      .filter(([, who]) => !who.includes(room))
      .map(([name, who]) => ({
        group: [name],
        message: `${name} belongs to ${who.map((w) => `lib/${w}`).join(', ') || 'commands/'}`,
      })),
  ];
};

export default tseslint.config(
  { ignores: ['dist', 'dist-*', 'node_modules', '.tap', 'test/golden/v*'] },
  ...tseslint.configs.strict,
  {
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-console': 'error',
      eqeqeq: 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: false, skipComments: false }],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'lib/clock.ts is the only clock' },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: "NewExpression[callee.name='Date'][arguments.length=0]",
          message: 'lib/clock.ts is the only clock',
        },
      ],
    },
  },
  { files: ['lib/clock.ts'], rules: { 'no-restricted-properties': 'off', 'no-restricted-syntax': 'off' } },
  ...rooms.map((room) => ({
    files: [`lib/${room}/**/*.ts`, `lib/${room}.ts`],
    rules: { 'no-restricted-imports': ['error', { patterns: forbidden(room) }] },
  })),
  {
    files: ['lib/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', { name: 'console', message: 'lib never prints' }],
    },
  },
);
