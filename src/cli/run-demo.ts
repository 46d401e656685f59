/** `outboard demo`: the demo's shop and visitors, with the proxy of `outboard run` between them. */
import type { LogLevel } from '../channel/index.ts';
import { StartError, startSupervisor } from '../supervisor.ts';
import { runDemo } from './demo/demo.ts';
import { createLogger } from './logger.ts';

export interface DemoCommandOptions {
  readonly jaeger?: string;
  readonly logLevel: LogLevel;
}

export async function demo({ jaeger, logLevel }: DemoCommandOptions): Promise<number> {
  const logger = createLogger(logLevel);
  try {
    return await runDemo({
      ...(jaeger === undefined ? {} : { jaeger }),
      startProxy: async ({ configFile, directory, otlpEndpoint }) => {
        const overrides = otlpEndpoint === null ? {} : { otlpEndpoint };
        const supervisor = await startSupervisor({ configFile, directory, overrides, logger });
        return { ready: supervisor.ready, stop: () => supervisor.drainAndStop() };
      },
    });
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    for (const line of error.lines) process.stderr.write(`${line}\n`);
    return 1;
  }
}
