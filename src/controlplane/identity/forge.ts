/**
 * node-forge, loaded when it is first asked for: 2 MiB of code that only stapling and making certificates need, and
 * most proxies do neither.
 */
import { createRequire } from 'node:module';
import type Forge from 'node-forge';

let loaded: typeof Forge | null = null;

export function forge(): typeof Forge {
  loaded ??= createRequire(import.meta.url)('node-forge') as typeof Forge;
  return loaded;
}
