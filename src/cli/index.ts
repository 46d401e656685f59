/**
 * The `outboard` command's grammar. Each command loads what it needs when it runs, so that `version` and
 * `validate` start no part of a proxy. Exit codes: 0 done, 1 failed, 2 the command line is wrong.
 */
import { readFile } from 'node:fs/promises';
import { Command, CommanderError } from 'commander';
import { readAddress, readLevel, readUrl, readWorkers } from './arguments.ts';
import type { RunOptions } from './run.ts';

const USAGE_ERROR = 2;

/** Runs one command line, without program and script name, and gives the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  let code = 0;
  const finish = (result: number): void => {
    code = result;
  };
  try {
    const root = program(finish).version(await version(), '-V, --version', 'print the version');
    await root.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_ERROR;
    throw error;
  }
}

function program(finish: (code: number) => void): Command {
  const root = new Command('outboard')
    .description('A service-mesh proxy for a whole node')
    .exitOverride()
    .showHelpAfterError('(outboard --help tells more)')
    .showSuggestionAfterError();
  addRun(root, finish);
  addDemo(root, finish);
  root
    .command('validate')
    .description('list every fault of a configuration file')
    .argument('<file>', 'configuration file')
    .option('--json', 'faults as JSON')
    .action(async (file: string, { json }: { json?: boolean }) => {
      if (json) finish(await (await import('./validate-json.ts')).validateAsJson(file, print));
      else finish(await (await import('./validate.ts')).runValidate(file, { out: print, err: printError }));
    });
  root
    .command('schema')
    .description('print the JSON Schema of configuration files')
    .action(async () => {
      const { configJsonSchema } = await import('../config/load/index.ts');
      print(JSON.stringify(configJsonSchema(), null, 2));
    });
  root
    .command('doctor')
    .description('check what this machine gives the proxy')
    .action(async () => finish(await (await import('./doctor.ts')).doctor(print)));
  root
    .command('version')
    .description('print the version')
    .action(async () => print(`outboard ${await version()} (node ${process.versions.node})`));
  return root;
}

function addRun(root: Command, finish: (code: number) => void): void {
  root
    .command('run')
    .description('run the proxy until SIGTERM; SIGHUP reloads, SIGUSR2 reopens logs')
    .requiredOption('-c, --config <file>', 'configuration file')
    .option('--jaeger <url>', 'send traces to this OTLP endpoint, e.g. http://127.0.0.1:4318', readUrl)
    .option('--admin <address>', 'host:port of the admin server, in place of admin.address', readAddress)
    .option('--workers <count>', 'worker threads, in place of workers', readWorkers)
    .option('--log-level <level>', 'debug, info, warn or error', readLevel, 'info')
    .action(async (options: RunOptions) => finish(await (await import('./run.ts')).run(options)));
}

function addDemo(root: Command, finish: (code: number) => void): void {
  root
    .command('demo')
    .description('run the proxy in front of a small shop')
    .option('--jaeger <url>', 'send traces to this OTLP endpoint too', readUrl)
    .option('--log-level <level>', 'debug, info, warn or error', readLevel, 'warn')
    .action(async (options: Pick<RunOptions, 'jaeger' | 'logLevel'>) =>
      finish(await (await import('./run-demo.ts')).demo(options)),
    );
}

async function version(): Promise<string> {
  const manifest = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function printError(text: string): void {
  process.stderr.write(`${text}\n`);
}
