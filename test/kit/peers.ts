/**
 * The real programs that some tests stand beside: Jaeger, Envoy, a Docker engine, root. A test whose peer is missing
 * skips with a line that says what is missing and how to get it; with OUTBOARD_REQUIRE_PEERS=1, as
 * `npm run test:peers` sets it, it fails instead, so that a green run has really met them.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A program's path, or why the test can't run; `skip` fits node:test's option. */
export type Peer =
  | { readonly path: string; readonly skip: false }
  | { readonly path: null; readonly skip: string };

/** Looks in PATH, in `$PEERS_DIR/bin` and in `~/.cache/peers/bin`, in this order. */
export function peer(name: string): Peer {
  const path = find(name);
  if (path !== null) return { path, skip: false };
  return missing(`${name} is not in PATH, $PEERS_DIR/bin or ~/.cache/peers/bin`);
}

/** A Docker engine that answers, and compose with it: the command line, as an array. */
export function compose(): { readonly command: readonly string[]; readonly skip: false | string } {
  const engine = spawnSync('docker', ['info', '--format', '{{.ServerVersion}}'], { encoding: 'utf8' });
  if (engine.status !== 0 || engine.stdout.trim() === '') {
    return { command: [], skip: missing('no Docker engine answers (docker info)').skip };
  }
  for (const command of [['docker', 'compose'], ['docker-compose']]) {
    const [program = '', ...args] = command;
    if (spawnSync(program, [...args, 'version']).status === 0) return { command, skip: false };
  }
  return { command: [], skip: missing('neither `docker compose` nor docker-compose is installed').skip };
}

/** For tests that make network namespaces or bind low ports. */
export function root(): { readonly skip: false | string } {
  return process.getuid?.() === 0 ? { skip: false } : { skip: missing('this needs root').skip };
}

function missing(what: string): { path: null; skip: string } {
  if (process.env.OUTBOARD_REQUIRE_PEERS === '1') {
    throw new Error(`a peer is missing, and OUTBOARD_REQUIRE_PEERS=1 asks for all: ${what}`);
  }
  return { path: null, skip: `peer missing: ${what}` };
}

function find(name: string): string | null {
  const places = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...(process.env.PEERS_DIR ? [join(process.env.PEERS_DIR, 'bin')] : []),
    join(homedir(), '.cache', 'peers', 'bin'),
  ];
  for (const place of places) {
    const path = join(place, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here: the next place.
    }
  }
  return null;
}
