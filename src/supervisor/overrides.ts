/** What the command line says in place of the configuration file. */
import type { ConfigDraft } from '../config/index.ts';

export interface Overrides {
  /** `http://host:4318`. */
  readonly otlpEndpoint?: string;
  readonly admin?: { readonly host: string; readonly port: number };
  readonly workers?: number;
}

export function withOverrides(draft: ConfigDraft, { otlpEndpoint, admin, workers }: Overrides): ConfigDraft {
  const { node } = draft;
  return {
    ...draft,
    node: {
      ...node,
      tracing: { ...node.tracing, otlpEndpoint: otlpEndpoint ?? node.tracing.otlpEndpoint },
      admin: admin ?? node.admin,
      workers: workers ?? node.workers,
    },
  };
}
