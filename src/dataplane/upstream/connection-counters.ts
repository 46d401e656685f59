/** Envoy's cluster counters that are about connections; those about requests are made from request records. */
import type { Failure } from '../../base/index.ts';
import { COUNTER, type CounterBlock } from '../../telemetry/index.ts';
import type { CloseCause, UpstreamConnection } from './connection.ts';
import type { Link } from './link.ts';

/** As Envoy, from the dial on: what fails to connect is counted here, as a failure, and as destroyed. */
export function countDialled(counters: CounterBlock): void {
  counters.add(COUNTER.upstreamCxTotal, 1);
}

export function countConnected(counters: CounterBlock, connection: UpstreamConnection): void {
  const { tlsResumed } = connection.link;
  if (connection.protocol === 'http1') counters.add(COUNTER.upstreamCxHttp1Total, 1);
  if (connection.protocol === 'http2') counters.add(COUNTER.upstreamCxHttp2Total, 1);
  if (tlsResumed === null) return;
  counters.add(COUNTER.sslHandshake, 1);
  if (tlsResumed) counters.add(COUNTER.sslSessionReused, 1);
}

export function countConnectFailure(counters: CounterBlock, why: Failure): void {
  counters.add(COUNTER.upstreamCxConnectFail, 1);
  if (why.kind === 'connect-timeout') counters.add(COUNTER.upstreamCxConnectTimeout, 1);
  if (why.kind === 'upstream-tls') counters.add(COUNTER.sslConnectionError, 1);
}

/** `connection` null: it never got so far; a dial that takes too long is the only one that we end. */
export function countClosed(
  counters: CounterBlock,
  { failed }: Link,
  connection: UpstreamConnection | null,
): void {
  const unmade: CloseCause = failed === null || failed.kind === 'connect-timeout' ? 'local' : 'remote';
  const closeCause = connection?.closeCause ?? unmade;
  const remote = closeCause === 'remote';
  counters.add(COUNTER.upstreamCxDestroy, 1);
  counters.add(remote ? COUNTER.upstreamCxDestroyRemote : COUNTER.upstreamCxDestroyLocal, 1);
  if (connection !== null && connection.cutRequests > 0) {
    counters.add(COUNTER.upstreamCxDestroyWithActiveRq, 1);
    counters.add(
      remote ? COUNTER.upstreamCxDestroyRemoteWithActiveRq : COUNTER.upstreamCxDestroyLocalWithActiveRq,
      1,
    );
  }
  if (closeCause === 'idle-timeout') counters.add(COUNTER.upstreamCxIdleTimeout, 1);
  if (closeCause === 'max-age') counters.add(COUNTER.upstreamCxMaxDurationReached, 1);
  if (closeCause === 'keepalive-timeout') counters.add(COUNTER.upstreamHttp2KeepaliveTimeout, 1);
  if (closeCause === 'protocol') counters.add(COUNTER.upstreamCxProtocolError, 1);
}
