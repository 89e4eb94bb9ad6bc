import t from 'tap';
import { chmodSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { loadConfiguration, type LoadOptions } from '../../lib/config/load.js';
import type { Configuration } from '../../lib/config/types.js';
import type { RrbackupError } from '../../lib/errors/index.js';

type Test = Pick<typeof t, 'testdir' | 'testdirName'>;

const legacy = (separator: string): string =>
  [
    '[main]',
    `base_path${separator}           /absolute/path/of/what/to/back/up`,
    `local_manifest_file${separator} /absolute/path/of/the/local/manifest/cache`,
    `crypt_password${separator}      the encryption password`,
    `commit_locked${separator}       False`,
    '[s3]',
    `access_key${separator} AKIA0`,
    `secret_key${separator} a/b+c=:d`,
    `bucket${separator}     backups`,
    '',
  ].join('\n');

type Load = Partial<LoadOptions> & { text?: string };

async function load(t: Test, { text, ...options }: Load): Promise<Configuration> {
  const directory = t.testdir({ cwd: text === undefined ? {} : { 'configuration.ini': text }, home: {} });
  if (text !== undefined) chmodSync(join(directory, 'cwd/configuration.ini'), 0o600);
  return loadConfiguration({
    environment: {},
    cwd: join(directory, 'cwd'),
    home: join(directory, 'home'),
    ...options,
  });
}

async function failure(
  t: Test,
  options: Load,
): Promise<{ code: string; message: string; guidance: string; status: number }> {
  try {
    await load(t, options);
  } catch (error) {
    const { code, message, guidance = '', exitStatus } = error as RrbackupError;
    return {
      code,
      message: message.replaceAll(t.testdirName, ''),
      guidance: guidance.replaceAll(t.testdirName, ''),
      status: exitStatus,
    };
  }
  throw new Error('no error');
}

t.test('the file that people have already works as it stands, with : and with =', async (t) => {
  for (const separator of [':', ' =', '=']) {
    const configuration = await load(t, { text: legacy(separator) });
    t.match(configuration, {
      store: { kind: 's3', bucket: 'backups', prefix: '', accessKey: 'AKIA0', secretKey: 'a/b+c=:d' },
      encryption: 'password',
      commitLocked: false,
      host: hostname(),
      catalogPath: '/absolute/path/of/the/local/manifest/cache',
      warnings: [],
    });
    t.equal(await configuration.password(), 'the encryption password');
    t.strictSame(configuration.sources, [
      {
        name: 'up',
        path: '/absolute/path/of/what/to/back/up',
        exclude: [],
        excludeFiles: [],
        oneFileSystem: false,
        excludeCaches: false,
      },
    ]);
  }
});

t.test('every key', async (t) => {
  const text = `
[main]
base_path = /
exclude =
    /proc/
    !/proc/keep
exclude_file: rules
    ~/more
one_file_system = YES
exclude_caches = on
password_file = secret
commit_locked = 1
host = other-machine
[s3]
bucket = b
prefix = /a/b/
endpoint = https://s3.example.org
region = eu-west-1
path_style = true
storage_class = STANDARD_IA
[source my files]
path = ~
`;
  const configuration = await load(t, { text });
  const at = (path: string): string => join(t.testdirName, path);
  t.match(configuration, {
    store: {
      kind: 's3',
      bucket: 'b',
      prefix: 'a/b',
      endpoint: 'https://s3.example.org',
      region: 'eu-west-1',
      pathStyle: true,
      storageClass: 'STANDARD_IA',
    },
    commitLocked: true,
    host: 'other-machine',
    catalogPath: undefined,
    stateDirectory: at('home/.local/state/rrbackup'),
    cacheDirectory: at('home/.cache/rrbackup'),
    cacheSize_bytes: 1024 ** 3,
    sources: [
      {
        name: 'root',
        path: '/',
        exclude: ['/proc/', '!/proc/keep'],
        excludeFiles: [at('cwd/rules'), at('home/more')],
        oneFileSystem: true,
        excludeCaches: true,
      },
      { name: 'my files', path: at('home'), exclude: [], oneFileSystem: false },
    ],
  });
});

t.test('where the file is looked for', async (t) => {
  const ini = (path: string): string => `[main]\nbase_path = ${path}\n[directory]\npath = /repository\n`;
  const directory = t.testdir({
    cwd: { 'configuration.ini': ini('/cwd') },
    home: { '.config': { rrbackup: { 'configuration.ini': ini('/home-config') } } },
    xdg: { rrbackup: { 'configuration.ini': ini('/xdg') } },
    empty: {},
    'named.ini': ini('/named'),
    'variable.ini': ini('/variable'),
  });
  const from = async (options: Partial<LoadOptions>): Promise<string | undefined> => {
    const loaded = await loadConfiguration({
      environment: {},
      cwd: join(directory, 'cwd'),
      home: join(directory, 'home'),
      ...options,
    });
    return loaded.sources[0]?.path;
  };
  const variable = { RRBACKUP_CONFIG: '../variable.ini' };
  t.equal(await from({ file: '../named.ini', environment: variable }), '/named');
  t.equal(await from({ environment: variable }), '/variable');
  t.equal(await from({}), '/cwd');
  t.equal(
    await from({ cwd: join(directory, 'empty'), environment: { XDG_CONFIG_HOME: join(directory, 'xdg') } }),
    '/xdg',
  );
  t.equal(await from({ cwd: join(directory, 'empty') }), '/home-config');
  t.equal(
    await from({ cwd: join(directory, 'empty'), environment: { XDG_CONFIG_HOME: 'relative' } }),
    '/home-config',
    'a relative XDG directory is ignored',
  );
});

t.test('no file, or not the one that was named', async (t) => {
  t.match(await failure(t, {}), {
    code: 'config.none',
    message:
      'there is no configuration file: neither /cwd/configuration.ini nor /home/.config/rrbackup/configuration.ini nor /etc/rrbackup/configuration.ini',
    guidance: "run 'rrbackup init' to see the two shortest ways to begin, or name a file with -c FILE",
    status: 2,
  });
  t.match(await failure(t, { file: 'nowhere.ini', text: legacy(':') }), {
    code: 'config.unreadable',
    message: 'the configuration file /cwd/nowhere.ini cannot be read: there is no such file',
  });
  t.match(await failure(t, { environment: { RRBACKUP_CONFIG: '.' } }), {
    code: 'config.unreadable',
    message: 'the configuration file /cwd cannot be read: it is a directory',
  });
  const directory = t.testdir({ 'bytes.ini': Buffer.from([0x5b, 0xff, 0x5d]) });
  await t.rejects(
    loadConfiguration({ environment: {}, cwd: directory, home: directory, file: 'bytes.ini' }),
    {
      message: `the configuration file ${directory}/bytes.ini cannot be read: it is not UTF-8 text`,
    },
  );
});

t.test('what may be a secret is not repeated', async (t) => {
  const store = '[directory]\npath = /r\n';
  for (const [text, message] of [
    [`[main]\ncrypt_pasword: hunter2\n${store}`, "line 2: unknown key 'crypt_pasword' in [main]"],
    [`[main]\ncrypt_password hunter2=x\n${store}`, 'line 2: unknown key in [main]'],
    [`[main]\nsecret_keyhunter=\n${store}`, 'line 2: unknown key in [main]'],
    [`[main]\ncrypt_password: a\nhunter2hunter2:x\n${store}`, 'line 3: unknown key in [main]'],
    [`[main]\nhunter hunter=\n${store}`, 'line 2: unknown key in [main]'],
    [`[main]\ncrypt_password hunter2\n${store}`, 'line 2: neither'],
    [`[main]\nhunter2x: 1\nhunter2x: 2\n${store}`, 'line 3: the key stands in line 2 already'],
    [`[main]\n[hunter2hunter2]\n${store}`, 'line 2: unknown section'],
    [`[main]\nencryption: hunter2\n${store}`, "line 2: 'encryption' is neither"],
    [`[s3]\nbucket = b\nendpoint = https://key:hunter2@s3.example.org\n`, "line 3: 'endpoint' has something"],
    [`[s3]\nbucket = b\nendpoint = key:hunter2@s3.example.org\n`, "line 3: 'endpoint' has something"],
    [`[s3]\nbucket = b\nsecret_key = a\n  hunter2\n`, "line 3: 'secret_key' goes on"],
  ] as const) {
    const error = await failure(t, { text });
    t.ok(error.message.includes(message), `${error.message} ⊇ ${message}`);
    t.notMatch(`${error.message} ${error.guidance}`, /hunter/);
  }
});

t.test('each mistake has its sentence', async (t) => {
  const main = '[main]\nbase_path = /b\n';
  const store = '[directory]\npath = /r\n';
  const cases: [string, string, string][] = [
    [
      `[main]\nbasepath: /x\n${store}`,
      "line 2: unknown key 'basepath' in [main]",
      "the nearest right one is 'base_path'",
    ],
    [`[main]\nbucket = x\n${store}`, "line 2: unknown key 'bucket' in [main]", "'bucket' belongs in [s3]"],
    [`${main}[s4]\nbucket = b\n`, 'line 3: unknown section [s4]', 'the nearest right one is [s3]'],
    [`[Main]\nbase_path = /b\n`, 'line 1: unknown section [Main]', 'the nearest right one is [main]'],
    [
      `${main}[dirctory]\npath = b\n`,
      'line 3: unknown section [dirctory]',
      'the nearest right one is [directory]',
    ],
    [
      main,
      ' does not say where the repository is',
      "add '[s3]' with 'bucket = …', or '[directory]' with 'path = …'",
    ],
    [
      `${main}${store}[s3]\nbucket = b\n`,
      ' has both [s3] and [directory]',
      'keep the one that holds the repository',
    ],
    [`${main}[s3]\nregion = x\n`, ": [s3] has no 'bucket'", "add a line 'bucket = …' below line 3"],
    [`${main}[directory]\n`, ": [directory] has no 'path'", "add a line 'path = …' below line 3"],
    [`${main}[directory]\npath =\n`, "line 4: 'path' is empty", 'give it a value or remove the line'],
    [
      `[main]\ncommit_locked = maybe\n${store}`,
      "line 2: 'commit_locked' is 'maybe', which is neither yes nor no",
      'write yes, no',
    ],
    [
      `[main]\nbase_path = /b\n  host = x\n${store}`,
      "line 2: 'base_path' goes on in the next line",
      'begin the next key in the same column',
    ],
    [`[main]\nbase_path = "/b"\n${store}`, "line 2: 'base_path' stands in quotes", 'remove the quotes'],
    [
      `[main]\nbase_path = ~eve/x\n${store}`,
      "line 2: 'base_path' begins with '~eve'",
      'write the path in full',
    ],
    [`[main]\nexclude = x\n${store}`, "line 2: 'exclude' in [main] is about 'base_path'", '[source NAME]'],
    [
      `${main}crypt_password = x\npassword_file = y\n${store}`,
      "line 4: both 'crypt_password' and 'password_file'",
      'keep one',
    ],
    [
      `${main}crypt_password = x\nencryption = none\n${store}`,
      "line 3: 'encryption = none' needs no 'crypt_password'",
      'remove one',
    ],
    [
      `${main}encryption = my secret\n${store}`,
      "line 3: 'encryption' is neither 'password' nor 'none'",
      "write 'password' or 'none'",
    ],
    [`${main}host = a/b\n${store}`, "line 3: 'a/b' cannot name this machine", 'host = …'],
    [`${main}[s3]\nbucket = b/c\n`, "line 4: 'b/c' is no name of a bucket", 'prefix'],
    [
      `${main}[s3]\nbucket = b\nendpoint = s3.example.org\n`,
      "line 5: 's3.example.org' is no address",
      'https://',
    ],
    [
      `${main}[s3]\nbucket = b\naccess_key = k\n`,
      "line 5: 'access_key' and 'secret_key' belong together",
      'give both',
    ],
    [
      `${main}[s3]\nbucket = b\nsecret_key = k\n`,
      "line 5: 'access_key' and 'secret_key' belong together",
      'give both',
    ],
    [
      `${main}[s3]\nbucket = b\nstorage_class = GLACIER\n`,
      'line 5: objects in the storage class GLACIER',
      'GLACIER_IR',
    ],
    [
      `${main}[s3]\nbucket = b\nstorage_class = deep_archive\n`,
      'line 5: objects in the storage class deep_archive',
      'GLACIER_IR',
    ],
    [`${store}[source]\npath = /x\n`, 'line 3: [source] needs a name', '[source NAME]'],
    [`${store}[source hosts]\npath = /x\n`, 'line 3: [source hosts] needs a name', '[source NAME]'],
    [`${store}[source .x]\npath = /x\n`, 'line 3: [source .x] needs a name', '[source NAME]'],
    [
      `${main}${store}[source b]\npath = /x\n`,
      "line 6: the source 'b' is the one that base_path makes already",
      'another name',
    ],
    [`${store}[source a]\nexclude = x\n`, ": [source a] has no 'path'", "add a line 'path = …'"],
    [
      `[main]\nbase_path = /r/x\n${store}`,
      ': /r/x, which is to be backed up, lies in the repository /r',
      'a directory of its own',
    ],
  ];
  for (const [text, message, guidance] of cases) {
    const error = await failure(t, { text });
    t.ok(error.message.includes(message), `${error.message} ⊇ ${message}`);
    t.ok(error.guidance.includes(guidance), `${error.guidance} ⊇ ${guidance}`);
    t.equal(error.status, 2);
    t.ok(error.message.startsWith('/cwd/configuration.ini'));
    t.notMatch(error.message + error.guidance, /\.$/, 'no full stop');
  }
});

t.test('booleans are those of Python', async (t) => {
  for (const [word, expected] of [
    ['True', true],
    ['yes', true],
    ['ON', true],
    ['1', true],
    ['False', false],
    ['No', false],
    ['off', false],
    ['0', false],
  ] as const) {
    const { commitLocked } = await load(t, {
      text: `[main]\ncommit_locked: ${word}\n[directory]\npath: /r\n`,
    });
    t.equal(commitLocked, expected, word);
  }
});

t.test('sizes are powers of 1,024', async (t) => {
  const text = (size: string) => `[main]\ncache_size: ${size}\n[directory]\npath: /r\n`;
  for (const [written, expected_bytes] of [
    ['0', 0],
    ['4096', 4096],
    ['500M', 500 * 1024 ** 2],
    ['2G', 2 * 1024 ** 3],
    ['1.5 GiB', 1.5 * 1024 ** 3],
    ['3tb', 3 * 1024 ** 4],
    ['64k', 65536],
  ] as const)
    t.equal((await load(t, { text: text(written) })).cacheSize_bytes, expected_bytes, written);
  for (const wrong of ['-1', 'much', '1 0', '2GG', 'G', '1e3', '9'.repeat(30)]) {
    const error = await failure(t, { text: text(wrong) });
    t.equal(error.message, `/cwd/configuration.ini, line 2: 'cache_size' is '${wrong}', which is no size`);
    t.match(error.guidance, /500M/);
  }
});

t.test('a secret that others can read is warned of', async (t) => {
  const directory = t.testdir({ cwd: { 'configuration.ini': legacy(':'), secret: 'x\n' }, home: {} });
  const file = join(directory, 'cwd/configuration.ini');
  const options = { environment: {}, cwd: join(directory, 'cwd'), home: join(directory, 'home') };
  chmodSync(file, 0o640);
  t.strictSame((await loadConfiguration(options)).warnings, [
    `others can read ${file}, and there is a secret in it: chmod 600 ${file}`,
  ]);
  chmodSync(file, 0o600);
  t.strictSame((await loadConfiguration(options)).warnings, []);
  writeFileSync(file, '[main]\npassword_file = secret\n[directory]\npath = /r\n');
  chmodSync(file, 0o644);
  chmodSync(join(directory, 'cwd/secret'), 0o644);
  t.strictSame((await loadConfiguration(options)).warnings, [
    `others can read the password file ${join(directory, 'cwd/secret')}: chmod 600 ${join(directory, 'cwd/secret')}`,
  ]);
});

t.test('XDG directories', async (t) => {
  const { stateDirectory, cacheDirectory } = await load(t, {
    text: legacy(':'),
    environment: { XDG_STATE_HOME: '/s', XDG_CACHE_HOME: '/c' },
  });
  t.strictSame([stateDirectory, cacheDirectory], ['/s/rrbackup', '/c/rrbackup']);
});
