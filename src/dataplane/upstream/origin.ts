/**
 * Whom a connection to an endpoint speaks for, where the service has it told by a PROXY header: then it carries the requests of one
 * connection of a client alone, because the header names that client's port too. Envoy keeps its pools apart the same way.
 */
import type { ServiceConfig } from '../../config/index.ts';
import { type ConnectionFacts, writeProxyHeader } from '../../message/index.ts';

export interface Origin {
  /** Tells connections apart; empty: anybody's. */
  readonly key: string;
  /** What goes first on a new connection; null: nothing. */
  readonly header: Buffer | null;
}

const ANYBODY: Origin = { key: '', header: null };

export function originKey({ proxyProtocol }: ServiceConfig, client: ConnectionFacts): string {
  if (proxyProtocol === null) return '';
  const { remoteAddress, remotePort, localAddress, localPort } = client;
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

export function originOf(config: ServiceConfig, client: ConnectionFacts): Origin {
  const { proxyProtocol } = config;
  if (proxyProtocol === null) return ANYBODY;
  return { key: originKey(config, client), header: writeProxyHeader(proxyProtocol, client) };
}
