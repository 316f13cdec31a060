#!/usr/bin/env node
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import type { Config } from './config';
import { healthcheck } from './healthcheck';
import type { Refusal } from './lifecycle';
import type { Logger } from './logger';
import { packageVersion } from './version';

// Everything but the healthcheck is loaded by the command that needs it: a container runs the healthcheck every few
// seconds, and the rest takes longer to load than to ask.

const FAILED = 1;
const BAD_USAGE = 2;

/** What a command wrote, and how it ended. */
interface Outcome {
  stdout: string;
  stderr: string;
  exitCode: number;
}

/** Reads the environment, or ends the process with everything that is wrong with it. */
function configOrExit(): { config: Config; warnings: string[] } {
  const { readConfig } = require('./config') as typeof import('./config');
  const reading = readConfig(process.env);
  if (!('errors' in reading)) return reading;
  process.stderr.write(`The configuration is wrong:\n${reading.errors.map((line) => `  ${line}\n`).join('')}`);
  process.exit(BAD_USAGE);
}

/** Runs one of the services until something ends it. */
async function serve(
  compose: (deps: { config: Config; logger: Logger }) => import('./lifecycle').Service,
): Promise<void> {
  const { config, warnings } = configOrExit();
  const { createLogger } = require('./logger') as typeof import('./logger');
  const { runUntilStopped } = require('./lifecycle') as typeof import('./lifecycle');
  const logger = createLogger({ level: config.logLevel, stream: process.stdout, nowMs: Date.now });
  // Messages go on being decided when nobody reads the log any more.
  process.stdout.on('error', () => undefined);
  for (const warning of warnings) logger.warn(warning);
  const exitCode = await runUntilStopped({
    service: compose({ config, logger }),
    logger,
    shutdownTimeoutMs: config.shutdownTimeoutMs,
    stderr: (text) => process.stderr.write(text),
    proc: process,
  });
  process.exit(exitCode);
}

/** What a process that is not `up` must be told. */
function targetOrExit(config: Config, role: string) {
  if (config.redis !== null) return config.redis.target;
  process.stderr.write(
    `The configuration is wrong:\n  REDIS_URL must be set: sendgate ${role} has no Redis of its own, as sendgate up has\n`,
  );
  process.exit(BAD_USAGE);
}

/** Runs one command that needs Redis, and ends the process. */
async function useTools(command: (tools: import('./tools').Tools) => Promise<Outcome>): Promise<void> {
  const { config } = configOrExit();
  await finish(async () => {
    const { composeTools } = require('./tools') as typeof import('./tools');
    const tools = await composeTools(config);
    try {
      return await command(tools);
    } finally {
      tools.close();
    }
  });
}

/** Writes what a command has to say, and ends the process. What keeps it from working is said in one line. */
async function finish(command: () => Promise<Outcome>): Promise<void> {
  const outcome = await command().catch((error: Error): Outcome => {
    const { exitCode } = error as Partial<Refusal>;
    const words = error.name === 'Error' && exitCode === undefined ? error.stack : error.message;
    return { stdout: '', stderr: `${words}\n`, exitCode: exitCode ?? FAILED };
  });
  process.stderr.write(outcome.stderr);
  process.stdout.write(outcome.stdout, () => process.exit(outcome.exitCode));
}

function upCommand(): Promise<void> {
  const { composeUp } = require('./compose/up') as typeof import('./compose/up');
  const system = { path: process.env.PATH, platform: process.platform, pid: process.pid };
  return serve((deps) =>
    composeUp(deps, system, ({ url, access, privateRedisFolder }) => {
      const redis = privateRedisFolder === null ? 'REDIS_URL' : `a private Redis in ${privateRedisFolder}`;
      const key = deps.config.apiKey === null ? '<key>' : '$SENDGATE_API_KEY';
      const authorization = access === 'keys' ? ` \\\n    -H "Authorization: Bearer ${key}"` : '';
      const open = access === 'open' ? '\nThere is no API key yet, so only this machine can connect.\n' : '';
      process.stdout.write(
        `\nSendgate is ready: ${url} (workspace ${deps.config.workspace}, on ${redis})\n${open}\nAsk it whether a message may go out:\n\n  curl ${url}/check${authorization} \\\n    -H 'Content-Type: application/json' -d '{"user_id": "ann"}'\n\n`,
      );
    }),
  );
}

function program(): Command {
  const sendgate = new Command('sendgate')
    .description('May this message go out now? Exact send limits for whoever sends notifications.')
    .addHelpText(
      'after',
      '\nIt is configured by environment variables: see docs/configuration.md.\nExit codes: 0 done, 1 failed, 2 used or configured wrongly.',
    )
    .helpCommand(false)
    .showHelpAfterError('Run it with --help to see how it is used.');
  sendgate.option('-V, --version', 'print the version').on('option:version', () => {
    process.stdout.write(`${packageVersion()}\n`);
    process.exit(0);
  });

  sendgate
    .command('up')
    .description('run API and worker in one process, with a private Redis unless REDIS_URL names one')
    .action(upCommand);
  sendgate
    .command('api')
    .description('run an API')
    .action(() => {
      const { composeApi } = require('./compose/api') as typeof import('./compose/api');
      return serve((deps) => composeApi(deps, targetOrExit(deps.config, 'api'), () => undefined));
    });
  sendgate
    .command('worker')
    .description('run a worker')
    .action(() => {
      const { composeWorker } = require('./compose/worker') as typeof import('./compose/worker');
      return serve((deps) => composeWorker(deps, targetOrExit(deps.config, 'worker'), null));
    });
  sendgate
    .command('healthcheck')
    .description('ask the process on this machine whether it is alive')
    .option('--port <port>', 'where it listens, if not on PORT')
    .action(({ port }: { port?: string }) =>
      finish(async () => {
        const wrong = await healthcheck(process.env, port);
        return { stdout: '', stderr: wrong === null ? '' : `${wrong}\n`, exitCode: wrong === null ? 0 : FAILED };
      }),
    );

  const keys = sendgate.command('keys').description('API keys: who may call').helpCommand(false);
  keys
    .command('create')
    .description('create a key, and print it this once')
    .requiredOption('--role <role>', 'check, read, inbound or admin; several with commas, or repeated', collect)
    .option('--name <name>', 'what to call it')
    .action(({ role, name }: { role: string[]; name?: string }) =>
      useTools(({ apiKeys }) => {
        const { createKeyCommand } = require('./access/commands') as typeof import('./access/commands');
        return createKeyCommand({ apiKeys }, { roles: role, name });
      }),
    );
  keys
    .command('list')
    .description('list the keys, without what they are made of')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }) =>
      useTools(({ apiKeys }) => {
        const { listKeysCommand } = require('./access/commands') as typeof import('./access/commands');
        return listKeysCommand({ apiKeys }, { json });
      }),
    );
  keys
    .command('revoke <id>')
    .description('revoke a key')
    .action((id: string) =>
      useTools(({ apiKeys }) => {
        const { revokeKeyCommand } = require('./access/commands') as typeof import('./access/commands');
        return revokeKeyCommand({ apiKeys }, { id });
      }),
    );

  const limits = sendgate.command('limits').description('limits as a file').helpCommand(false);
  const fileOption = ['-f, --file <path>', 'the YAML file, or - for standard input'] as const;
  limits
    .command('apply')
    .description('make the limits what the file says')
    .requiredOption(...fileOption)
    .option('--dry-run', 'only show what that would change')
    .action(({ file, dryRun }: { file: string; dryRun?: boolean }) =>
      useLimits(({ applyCommand }, deps) => applyCommand(deps, file, { dryRun: dryRun ?? false })),
    );
  limits
    .command('diff')
    .description('show what applying the file would change; ends with 0 for nothing, 1 for something, 2 for a failure')
    .requiredOption(...fileOption)
    .action(({ file }: { file: string }) => useLimits(({ diffCommand }, deps) => diffCommand(deps, file)));
  limits
    .command('simulate')
    .description('say what the file would have done in the last days; nothing is changed')
    .requiredOption(...fileOption)
    .option('--days <count>', 'how many days back, 1 to 30', daysOption, 7)
    .action(({ file, days }: { file: string; days: number }) =>
      useLimits(({ simulateCommand }, deps) => simulateCommand(deps, file, { days })),
    );
  limits
    .command('validate')
    .description('say everything that is wrong with the file; Redis is not asked')
    .requiredOption(...fileOption)
    .action(({ file }: { file: string }) =>
      finish(() => {
        const { validateCommand } = require('./limits-file/commands') as typeof import('./limits-file/commands');
        return validateCommand({ stdin: process.stdin }, file);
      }),
    );

  const logs = sendgate.command('logs').description('what becomes of messages').helpCommand(false);
  logs
    .command('tail')
    .description('write what happens to messages, as it happens')
    .option('--status <status>', 'only these: throttled, sent and so on; several with commas, or repeated', collect)
    .option('-n, --lines <count>', 'how much of what has happened already comes first', wholeNumberOption, 10)
    .option('--json', 'a JSON object each line')
    .action(({ status = [], lines, json }: { status?: string[]; lines: number; json?: boolean }) =>
      useTools(({ redis, keys, messageLog }) => {
        const { tailCommand } = require('./log/commands') as typeof import('./log/commands');
        const stop = new AbortController();
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
        // Whoever read it has gone: as with any tail, that is its end.
        process.stdout.on('error', () => stop.abort());
        return tailCommand(
          {
            ...{ redis, keys, messageLog, signal: stop.signal },
            write: (text) => process.stdout.write(text),
            tell: (text) => process.stderr.write(text),
          },
          { status, last: lines, json: json ?? false },
        );
      }),
    );

  // Subcommands do not inherit it.
  const all = [sendgate, keys, limits, logs].flatMap(({ commands }) => commands);
  for (const command of [sendgate, ...all]) command.exitOverride();
  return sendgate;
}

/** @throws InvalidArgumentError */
function wholeNumberOption(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 0 to 9999.');
  return Number(text);
}

/** @throws InvalidArgumentError */
function daysOption(text: string): number {
  const days = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (days < 1 || days > 30) throw new InvalidArgumentError('It must be a whole number from 1 to 30.');
  return days;
}

function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

type LimitsCommands = typeof import('./limits-file/commands');

/** Runs one of the commands on limits; Redis is asked only once the file has been found to be valid. */
async function useLimits(
  command: (
    commands: LimitsCommands,
    deps: import('./limits-file/commands').SimulateDeps,
  ) => ReturnType<LimitsCommands['applyCommand']>,
): Promise<void> {
  const { config } = configOrExit();
  await finish(async () => {
    let tools: import('./tools').Tools | undefined;
    const open = async () => {
      const { composeTools } = require('./tools') as typeof import('./tools');
      tools ??= await composeTools(config);
      return tools;
    };
    try {
      return await command(require('./limits-file/commands') as LimitsCommands, {
        stdin: process.stdin,
        configuration: async () => (await open()).configuration,
        whatIfs: async () => (await open()).whatIfs(),
        nowMs: Date.now,
        actor: { id: 'cli', name: null },
      });
    } finally {
      tools?.close();
    }
  });
}

program()
  .parseAsync(process.argv)
  .catch((error: unknown) => {
    if (!(error instanceof CommanderError)) throw error;
    process.exit(error.exitCode === 0 ? 0 : BAD_USAGE);
  });
