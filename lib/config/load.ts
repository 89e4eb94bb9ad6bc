// From a configuration file to a Configuration: every key known, every value checked, every path absolute. Reads no
// environment but the one that it is given.

import { stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { RrbackupError } from '../errors/index.js';
import {
  defaultCacheSize_bytes,
  type SourceConfiguration,
  type StoreConfiguration,
} from '../repository/types.js';
import { distrustedOnWay, distrustInWords } from '../posix/trust.js';
import { parseIni, type IniSection } from './ini.js';
import {
  findConfiguration,
  noConfiguration,
  xdgDirectory,
  type ConfigurationText,
  type Surroundings,
} from './locate.js';
import { isNear, nearest } from './nearest.js';
import { passwordSource, type AskPassword, type PasswordEntry } from './password.js';
import { Section, type PathBase } from './section.js';
import {
  nameProblem,
  readSource,
  refuseSourceInRepository,
  sourceKeys,
  sourceNameFromPath,
} from './source.js';
import type { Configuration } from './types.js';

export interface LoadOptions extends Surroundings {
  /** -c FILE. */
  readonly file?: string | undefined;
  /** Undefined where nobody can be asked. */
  readonly ask?: AskPassword | undefined;
  /** Ends every wait for what is read or run. */
  readonly signal?: AbortSignal | undefined;
}

const passwordKeys = ['crypt_password', 'password_file', 'password_command'] as const;
const keysOf = {
  main: [
    'base_path',
    'local_manifest_file',
    'cache_size',
    ...passwordKeys,
    'encryption',
    'commit_locked',
    'host',
    ...sourceKeys,
  ],
  s3: ['bucket', 'prefix', 'access_key', 'secret_key', 'endpoint', 'region', 'path_style', 'storage_class'],
  directory: ['path'],
  source: ['path', ...sourceKeys],
} as const;

type SectionKind = keyof typeof keysOf;

const knownSections = ['main', 's3', 'directory', 'source NAME'] as const;

// First come, first kept: a key that several sections take belongs to the one that a reader would look into first.
const homes = new Map<string, string>();
for (const kind of ['main', 's3', 'directory'] as const)
  for (const key of keysOf[kind]) if (!homes.has(key)) homes.set(key, `[${kind}]`);

const archived = new Set(['GLACIER', 'DEEP_ARCHIVE']);

function wrongFile(file: string, code: string, message: string, guidance: string): RrbackupError {
  return new RrbackupError({ code, kind: 'usage', message: `${file}${message}`, guidance });
}

class Sections {
  readonly single: Partial<Record<SectionKind, Section>> = {};
  readonly sources: { readonly name: string; readonly section: Section }[] = [];

  constructor(file: string, sections: readonly IniSection[], base: PathBase) {
    for (const section of sections) {
      const source = /^source(?:\s+(.*))?$/.exec(section.name);
      if (source !== null) {
        const name = source[1]?.trim() ?? '';
        const problem = name === '' ? 'it has none' : nameProblem(name);
        if (problem !== undefined)
          throw wrongFile(
            file,
            'config.wrong_value',
            `, line ${section.line}: [${section.name}] needs a name that can be a directory's, and ${problem}`,
            'write it as [source NAME]',
          );
        this.sources.push({ name, section: new Section(file, section, base, keysOf.source, homes) });
      } else if (section.name === 'main' || section.name === 's3' || section.name === 'directory') {
        this.single[section.name] = new Section(file, section, base, keysOf[section.name], homes);
      } else {
        const likely = nearest(section.name, knownSections);
        // What is nothing like a section may be the rest of a secret.
        const shown = isNear(section.name, likely) ? ` [${section.name}]` : '';
        throw wrongFile(
          file,
          'config.unknown_section',
          `, line ${section.line}: unknown section${shown}`,
          shown === ''
            ? `the sections are ${knownSections.map((known) => `[${known}]`).join(', ')}`
            : `the nearest right one is [${likely}]`,
        );
      }
    }
  }
}

function readStore(file: string, sections: Sections): StoreConfiguration {
  const { s3, directory } = sections.single;
  if (s3 !== undefined && directory !== undefined)
    throw wrongFile(
      file,
      'config.two_stores',
      ' has both [s3] and [directory]',
      'keep the one that holds the repository',
    );
  if (directory !== undefined) {
    directory.required('path');
    return { kind: 'directory', path: directory.path('path')! };
  }
  if (s3 === undefined)
    throw wrongFile(
      file,
      'config.no_store',
      ' does not say where the repository is',
      "add '[s3]' with 'bucket = …', or '[directory]' with 'path = …'",
    );
  const bucket = s3.required('bucket');
  if (bucket.includes('/'))
    throw s3.wrong(
      'bucket',
      `'${bucket}' is no name of a bucket`,
      "write the bucket's name alone, and what follows it as 'prefix = …'",
    );
  const endpoint = s3.text('endpoint');
  if (endpoint?.includes('@') === true)
    throw s3.wrong(
      'endpoint',
      "'endpoint' has something in front of a '@', where a user and a password would stand",
      "write the keys as 'access_key' and 'secret_key', and the address without them",
    );
  if (endpoint !== undefined && !/^https?:\/\/[^/]/.test(endpoint))
    throw s3.wrong(
      'endpoint',
      `'${endpoint}' is no address`,
      "write it with its scheme, as in 'https://s3.example.org'",
    );
  const accessKey = s3.text('access_key');
  const secretKey = s3.text('secret_key');
  if ((accessKey === undefined) !== (secretKey === undefined))
    throw s3.wrong(
      accessKey === undefined ? 'secret_key' : 'access_key',
      `'access_key' and 'secret_key' belong together, and only one is given`,
      'give both, or none to use the credentials of the environment, of ~/.aws or of the machine',
    );
  const storageClass = s3.text('storage_class');
  if (storageClass !== undefined && archived.has(storageClass.toUpperCase()))
    throw s3.wrong(
      'storage_class',
      `objects in the storage class ${storageClass} cannot be read until they are thawed`,
      'take one that can be read at once, such as STANDARD_IA or GLACIER_IR',
    );
  const region = s3.text('region');
  const pathStyle = s3.boolean('path_style');
  return {
    kind: 's3',
    bucket,
    prefix: (s3.text('prefix') ?? '').replace(/^\/+|\/+$/g, ''),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(pathStyle === undefined ? {} : { pathStyle }),
    ...(storageClass === undefined ? {} : { storageClass }),
    ...(accessKey === undefined || secretKey === undefined ? {} : { accessKey, secretKey }),
  };
}

function readSources(sections: Sections): SourceConfiguration[] {
  const { main } = sections.single;
  const sources: SourceConfiguration[] = [];
  const basePath = main?.path('base_path');
  if (main !== undefined && basePath !== undefined) {
    sources.push(readSource(main, sourceNameFromPath(basePath), basePath));
  } else {
    const stray = sourceKeys.find((key) => main?.has(key));
    if (main !== undefined && stray !== undefined)
      throw main.wrong(
        stray,
        `'${stray}' in [main] is about 'base_path', which is not given`,
        `move it into a section [source NAME]`,
      );
  }
  for (const { name, section } of sections.sources) {
    if (sources.some((other) => other.name === name))
      throw section.wrong(
        'path',
        `the source '${name}' is the one that base_path makes already`,
        'give it another name',
      );
    section.required('path');
    sources.push(readSource(section, name, section.path('path')!));
  }
  return sources;
}

function readPassword(
  main: Section | undefined,
  encryption: Configuration['encryption'],
  mayRunCommands: boolean,
): PasswordEntry | undefined {
  const given = passwordKeys.filter((key) => main?.has(key));
  const [first, second] = given;
  if (main === undefined || first === undefined) return undefined;
  if (second !== undefined)
    throw main.wrong(second, `both '${first}' and '${second}' give the password`, 'keep one of them');
  if (encryption === 'none')
    throw main.wrong(first, `'encryption = none' needs no '${first}'`, 'remove one of the two');
  if (first === 'password_command' && !mayRunCommands)
    throw main.wrong(
      first,
      `'${first}' is not run, because the current directory, where this file was found, belongs to another user`,
      'if you trust what stands in the file, name it with -c FILE',
    );
  if (first === 'password_file') return { kind: 'file', path: main.path(first)! };
  const value = main.text(first)!;
  return first === 'crypt_password' ? { kind: 'text', password: value } : { kind: 'command', command: value };
}

function readEncryption(main: Section | undefined): Configuration['encryption'] {
  const value = main?.text('encryption') ?? 'password';
  if (value === 'password' || value === 'none') return value;
  // Not what it is: somebody may have taken it for the place of the password.
  throw main!.wrong(
    'encryption',
    "'encryption' is neither 'password' nor 'none'",
    "write 'password' or 'none'; the password itself is 'crypt_password'",
  );
}

function readHost(main: Section | undefined): string {
  const host = main?.text('host') ?? hostname();
  const problem = nameProblem(host);
  if (problem === undefined) return host;
  const guidance = "write 'host = …' with a name that can be a directory's into [main]";
  if (main?.has('host')) throw main.wrong('host', `'${host}' cannot name this machine: ${problem}`, guidance);
  throw new RrbackupError({
    code: 'config.wrong_value',
    kind: 'usage',
    message: `the host name of this machine cannot name its backups: ${problem}`,
    guidance,
  });
}

const readableByOthers = 0o044;

async function secretWarnings(
  found: ConfigurationText,
  store: StoreConfiguration,
  password: PasswordEntry | undefined,
): Promise<string[]> {
  const warnings = [...found.warnings];
  const hasSecret = password?.kind === 'text' || (store.kind === 's3' && store.secretKey !== undefined);
  if (hasSecret && (found.mode & readableByOthers) !== 0)
    warnings.push(`others can read ${found.file}, and there is a secret in it: chmod 600 ${found.file}`);
  if (password?.kind === 'file') {
    const status = await stat(password.path).catch(() => undefined);
    if (status !== undefined && (status.mode & readableByOthers) !== 0)
      warnings.push(`others can read the password file ${password.path}: chmod 600 ${password.path}`);
    const changed = status?.isFile() === true ? distrustedOnWay(password.path) : undefined;
    if (changed !== undefined)
      warnings.push(`others can change the password file ${password.path}: ${distrustInWords(changed)}`);
  }
  return warnings;
}

/**
 * The configuration of this run, from the file named or the first one found. Every error is an RrbackupError of kind 'usage'
 * ('config.none', 'config.unreadable', 'config.syntax', 'config.unknown_key', …).
 */
export async function loadConfiguration(options: LoadOptions): Promise<Configuration> {
  const found = await findConfiguration(options.file, options, options.signal);
  if (found === undefined) throw noConfiguration(options);
  const { file, text } = found;
  const sections = new Sections(file, parseIni(text, file), { directory: dirname(file), home: options.home });
  const { main } = sections.single;
  const store = readStore(file, sections);
  const sources = readSources(sections);
  refuseSourceInRepository(file, store, sources);
  const encryption = readEncryption(main);
  const password = readPassword(main, encryption, found.mayRunCommands);
  return {
    file,
    store,
    encryption,
    password: passwordSource(password, options, options.ask, options.signal),
    commitLocked: main?.boolean('commit_locked') ?? false,
    host: readHost(main),
    sources,
    catalogPath: main?.path('local_manifest_file'),
    stateDirectory: xdgDirectory(options, 'XDG_STATE_HOME', '.local/state'),
    cacheDirectory: xdgDirectory(options, 'XDG_CACHE_HOME', '.cache'),
    cacheSize_bytes: main?.size('cache_size') ?? defaultCacheSize_bytes,
    warnings: await secretWarnings(found, store, password),
  };
}
