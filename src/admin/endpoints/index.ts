/** Every endpoint, in the order the index page lists them. */
import type { Endpoint } from '../answer.ts';
import { callers } from './callers.ts';
import { clusters } from './clusters.ts';
import { config } from './config.ts';
import { cpuProfile } from './cpu-profile.ts';
import { decisions } from './decisions.ts';
import { drain } from './drain.ts';
import { home } from './home.ts';
import { live } from './live.ts';
import { logLevel } from './log-level.ts';
import { metrics } from './metrics.ts';
import { overload } from './overload.ts';
import { rateLimits } from './rate-limits.ts';
import { ready } from './ready.ts';
import { traces } from './traces.ts';
import { restartWorker, workers } from './workers.ts';

const LISTED: readonly Endpoint[] = [
  ready,
  live,
  metrics,
  config,
  clusters,
  rateLimits,
  callers,
  traces,
  decisions,
  overload,
  workers,
  restartWorker,
  drain,
  logLevel,
  cpuProfile,
];

export const ENDPOINTS: readonly Endpoint[] = [home(LISTED), ...LISTED];
