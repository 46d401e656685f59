/**
 * config/load: from the text of a configuration file to a draft, or to the list of all its faults. It is
 * a room's door of its own, because it loads the YAML parser, zod and re2js, which no worker needs.
 */
export { type Fault, formatFault } from './fault.ts';
export { configJsonSchema } from './json-schema.ts';
export { type LoadOptions, type LoadResult, loadConfig } from './load.ts';
export { ConfigLoader } from './reload.ts';
