/** `outboard run`: the proxy, until a signal ends it. */
import type { LogLevel } from '../channel/index.ts';
import { type Overrides, StartError, type Supervisor, startSupervisor } from '../supervisor.ts';
import { createLogger } from './logger.ts';
import { catchSignals } from './signals.ts';

export interface RunOptions {
  readonly config: string;
  readonly jaeger?: string;
  readonly admin?: { readonly host: string; readonly port: number };
  readonly workers?: number;
  readonly logLevel: LogLevel;
}

/** The exit code: 0 after a drain, 1 when it could not start. */
export async function run(options: RunOptions): Promise<number> {
  const { config, jaeger, admin, workers, logLevel } = options;
  const logger = createLogger(logLevel);
  const overrides: Overrides = {
    ...(jaeger === undefined ? {} : { otlpEndpoint: jaeger }),
    ...(admin === undefined ? {} : { admin }),
    ...(workers === undefined ? {} : { workers }),
  };
  const signals = catchSignals();
  try {
    const supervisor = await startSupervisor({ configFile: config, overrides, logger });
    signals.attach(supervisor);
    const stopped = signals.stop.then((signal) => {
      logger.info({ signal }, 'stopping');
      return supervisor.drainAndStop();
    });
    const ready = supervisor.ready.then(() => {
      logger.info({ admin: hostPort(supervisor.adminAddress) }, 'ready');
    });
    await Promise.race([ready, signals.stop]);
    return await stopped;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    for (const line of error.lines) process.stderr.write(`${line}\n`);
    return 1;
  } finally {
    signals.detach();
  }
}

function hostPort({ host, port }: Supervisor['adminAddress']): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
