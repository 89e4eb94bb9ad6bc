// What all commands share: the global options, the configuration, the repository, and what happens when something goes wrong.

import { Command, Option } from 'clipanion';
import { loadConfiguration } from '../lib/config/load.js';
import type { Configuration } from '../lib/config/types.js';
import { interrupted, RrbackupError } from '../lib/errors/index.js';
import type { OpenOptions, Repository } from '../lib/index.js';
import type { Run } from '../lib/progress.js';
import type { CommandContext } from './context.js';
import { Report } from './presentation/report.js';
import { passwordPrompt } from './prompt.js';

type Opening = Pick<OpenOptions, 'access' | 'create' | 'sync' | 'sources'>;

/** For whatever listens to the signal to end by itself. */
const stopping_ms = 500;

export abstract class BaseCommand extends Command<CommandContext> {
  configurationFile = Option.String('-c,--config', {
    description: 'The configuration file (default: the first one found, see the README)',
  });
  json = Option.Boolean('--json', false, { description: 'Print JSON on stdout and nothing else there' });
  verbose = Option.Boolean('-v,--verbose', false, { description: 'Say more' });
  quiet = Option.Boolean('-q,--quiet', false, { description: 'Say only what went wrong' });
  debug = Option.Boolean('--debug', false, {
    description: 'With an error, show where in the program it arose',
  });

  #isOpen = false;

  /** Does the work; a number is the exit status, an error thrown is reported and gives its own. */
  protected abstract perform(report: Report): Promise<number | undefined>;

  override async execute(): Promise<number> {
    const { json, verbose, quiet, debug } = this;
    const { stdout, stderr } = this.context;
    const report = new Report({ stdout, stderr, json, verbose, quiet, debug });
    try {
      const status = await Promise.race([this.perform(report), this.#stoppedAtStart()]);
      await report.flush();
      return status ?? 0;
    } catch (error) {
      await report.flush();
      return report.error(error);
    }
  }

  /**
   * Rejects with 'interrupted' where the program was stopped and still waits for what it begins with (credentials that a library
   * looks for, for example). Once the repository is open, whoever is at work ends it in order.
   */
  #stoppedAtStart(): Promise<never> {
    const { signal } = this.context;
    return new Promise((_, reject) => {
      const onAbort = (): void =>
        void setTimeout(() => this.#isOpen || reject(interrupted()), stopping_ms).unref();
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Loads what will be needed once the repository is open; called while it is being opened. */
  protected async preload(): Promise<void> {
    return Promise.resolve();
  }

  protected async configuration(report: Report): Promise<Configuration> {
    const { env: environment, cwd, home, signal } = this.context;
    const prompt = passwordPrompt(this.context);
    const ask =
      prompt &&
      ((purpose: 'open' | 'create'): Promise<string> => {
        report.clearProgress();
        return prompt(purpose);
      });
    const configuration = await loadConfiguration({
      file: this.configurationFile,
      environment,
      cwd,
      home,
      ask,
      signal,
    });
    report.detail(`the configuration is ${configuration.file}`);
    for (const warning of configuration.warnings) report.warn(warning);
    return configuration;
  }

  /** Opens the repository, as the configuration may ask for, for `work` and closes it afterwards, whatever happens. */
  protected async withRepository<Result>(
    report: Report,
    options: Opening | ((configuration: Configuration) => Opening),
    work: (opened: { repository: Repository; configuration: Configuration; run: Run }) => Promise<Result>,
  ): Promise<Result> {
    const configuration = await this.configuration(report);
    const run = report.run(this.context.signal);
    // Not the whole library: most of it is for other commands.
    const { openRepository } = await import('../lib/repository/open.js');
    const opening = openRepository(configuration, {
      ...run,
      ...(typeof options === 'function' ? options(configuration) : options),
      note: (message) => report.note(message),
      unlocker: this.context.unlocker,
    });
    // What cannot be loaded says so when it is used.
    this.preload().catch(() => undefined);
    const repository = await opening;
    return this.closing(repository, () => work({ repository, configuration, run }));
  }

  /**
   * Does the work and closes the repository. A catalog that turned out damaged on the way is removed, so that running the
   * command again, which is what the error asks for, rebuilds it.
   */
  protected async closing<Result>(repository: Repository, work: () => Promise<Result>): Promise<Result> {
    this.#isOpen = true;
    const { path } = repository.catalog;
    let isDamaged = false;
    try {
      return await work();
    } catch (error) {
      isDamaged = error instanceof RrbackupError && error.code === 'catalog.damaged';
      throw error;
    } finally {
      await repository.close();
      if (isDamaged) (await import('../lib/catalog/index.js')).removeCatalog(path);
    }
  }
}
