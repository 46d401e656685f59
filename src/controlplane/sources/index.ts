/** sources: where configuration comes from. */
export type { ResolvedAddress, Resolver } from './dns.ts';
export {
  type ConfigInput,
  createFileSource,
  type FileSource,
  type FileSourceOptions,
  type SourceState,
} from './file.ts';
