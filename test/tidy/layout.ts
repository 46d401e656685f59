/**
 * The shape of `src/` as a table: rooms and their ranks, the side each is on, what is banned where. Change the
 * shape here first; ARCHITECTURE.md says why it is so.
 */

export interface Room {
  readonly path: string;
  /** Imports go to a strictly lower rank. */
  readonly rank: number;
  /** `data` and `control` never import each other; `both` is what they share, or what stands above them. */
  readonly side: 'data' | 'control' | 'both';
  /** Files that other rooms may import; default `index.ts`. */
  readonly doors?: readonly string[];
}

/** The longest path that fits is a file's room. A room at `src/x` holds `src/x.ts` too. */
export const ROOMS: readonly Room[] = [
  { path: 'src/base', rank: 0, side: 'both' },
  { path: 'src/ledger', rank: 1, side: 'both' },
  { path: 'src/message', rank: 1, side: 'both' },
  // Reading a file needs a YAML parser and a schema library, which workers do without: two doors.
  { path: 'src/config', rank: 2, side: 'both', doors: ['src/config/index.ts', 'src/config/load/index.ts'] },
  { path: 'src/telemetry', rank: 3, side: 'both' },
  // Its messages carry snapshots and records, so it stands above those: docs/decisions/0001.
  { path: 'src/channel', rank: 4, side: 'both' },
  { path: 'src/dataplane/transport', rank: 4, side: 'data' },
  { path: 'src/dataplane/codec/http1', rank: 4, side: 'data' },
  { path: 'src/dataplane/codec/http2', rank: 4, side: 'data' },
  { path: 'src/dataplane/codec/grpc-web', rank: 4, side: 'data' },
  { path: 'src/dataplane/codec/rls', rank: 4, side: 'data' },
  { path: 'src/dataplane/router', rank: 4, side: 'data' },
  { path: 'src/dataplane/policy', rank: 4, side: 'data' },
  { path: 'src/dataplane/balancer', rank: 4, side: 'data' },
  { path: 'src/controlplane/sources', rank: 4, side: 'control' },
  { path: 'src/controlplane/identity', rank: 4, side: 'control' },
  { path: 'src/controlplane/health', rank: 4, side: 'control' },
  { path: 'src/controlplane/export', rank: 4, side: 'control' },
  { path: 'src/dataplane/upstream', rank: 5, side: 'data' },
  { path: 'src/admin', rank: 5, side: 'control' },
  { path: 'src/dataplane/exchange', rank: 6, side: 'data' },
  { path: 'src/supervisor', rank: 6, side: 'control', doors: ['src/supervisor.ts'] },
  { path: 'src/dataplane/listener', rank: 7, side: 'data' },
  // Above both sides: `explain` asks the router, `run` starts the supervisor.
  { path: 'src/cli', rank: 7, side: 'both' },
  { path: 'src/worker', rank: 8, side: 'data' },
  { path: 'src/main', rank: 8, side: 'both' },
];

export const LINES_MAX = 400;

/** What the data plane's thread must not load: seconds of start and megabytes a worker has no use for. */
export const WORKER = {
  entry: 'src/worker.ts',
  banned: [
    '@opentelemetry/',
    '@kubernetes/',
    'prom-client',
    'undici',
    'node-forge',
    'yaml',
    'zod',
    'commander',
  ],
} as const;

export interface Ban {
  readonly name: string;
  readonly pattern: RegExp;
  /** Code only, without strings and comments; or all of the text. */
  readonly in: 'code' | 'text';
  readonly where: readonly string[];
  readonly except?: readonly string[];
  readonly why: string;
}

const PURE = [
  'src/dataplane/codec/',
  'src/dataplane/router/',
  'src/dataplane/policy/',
  'src/dataplane/balancer/',
];

export const BANS: readonly Ban[] = [
  {
    name: 'no timer in decisions',
    pattern: /(?<![.\w])(?:setTimeout|setInterval|setImmediate)\(/g,
    in: 'code',
    where: ['src/dataplane/'],
    why: "one timer wheel serves a worker; base's Timer",
  },
  {
    name: 'no clock in decisions',
    pattern: /\b(?:Date\.now|performance\.now|process\.hrtime)\b|\bnew Date\(\)/g,
    in: 'code',
    where: ['src/dataplane/'],
    why: 'time comes in by argument or by Clock, so that tests own it',
  },
  {
    name: 'no randomness in decisions',
    pattern: /\b(?:Math\.random|randomInt|randomBytes)\(/g,
    in: 'code',
    where: PURE,
    why: 'randomness comes in by argument, so that tests own it',
  },
  {
    name: 'no promise per request in decisions',
    pattern: /\b(?:async|await)\b|\bnew Promise\b/g,
    in: 'code',
    where: PURE,
    why: 'codec, router, policy and balancer answer at once',
  },
  {
    name: 'console only in the command line',
    pattern: /\bconsole\./g,
    in: 'code',
    where: ['src/'],
    except: ['src/cli/'],
    why: 'the logger has levels and does not block',
  },
  {
    name: 'process.exit only at the top',
    pattern: /\bprocess\.exit\(/g,
    in: 'code',
    where: ['src/'],
    except: ['src/main.ts', 'src/cli/', 'src/supervisor.ts', 'src/supervisor/'],
    why: 'only who started everything may end it',
  },
  {
    name: 'no any',
    pattern: /[:<|&]\s*any\b(?!\s*[:(=.])|,\s*any\s*>|\bas\s+any\b/g,
    in: 'code',
    where: ['src/', 'test/'],
    why: 'say the type, or unknown',
  },
  {
    name: 'no silenced type checks',
    pattern: /@ts-(?:ignore|nocheck|expect-error)/g,
    in: 'text',
    where: ['src/', 'test/'],
    except: ['test/tidy/'],
    why: 'mend the type',
  },
  {
    name: 'no focused or skipped tests left in',
    pattern: /\b(?:test|it|describe)\.only\(/g,
    in: 'code',
    where: ['test/'],
    why: 'the others would not run',
  },
];

/** Modules that do input or output, which decisions do without. */
export const PURE_ROOMS = PURE;
export const IO_MODULES =
  /^node:(?:net|tls|http|https|http2|dgram|dns|fs|timers|child_process|cluster|worker_threads)(?:\/|$)/;
