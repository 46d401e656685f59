/**
 * The deadline of a gRPC call: the client's `grpc-timeout` or what the rule states, whichever is shorter. Every
 * attempt is told what is left of it, so that no endpoint works for a caller that has given up.
 */
import { H, type HeaderList } from '../../message/index.ts';
import { formatGrpcTimeout, parseGrpcTimeout } from './grpc-timeout.ts';
import { attemptTimeoutMs, type RuleTimeouts, remainingMs, type Timeouts, timeoutsOf } from './timeouts.ts';

/** The timeouts of a call with these headers. A `grpc-timeout` that is none counts as absent, as in Envoy: its endpoint will judge it. */
export function grpcTimeouts(rule: RuleTimeouts, headers: HeaderList): Timeouts {
  const text = headers.get(H['grpc-timeout']);
  const statedMs = text === undefined ? -1 : parseGrpcTimeout(text);
  const { requestMs } = rule.grpc;
  if (statedMs < 0 || (requestMs > 0 && requestMs <= statedMs)) return rule.grpc;
  return timeoutsOf(statedMs, rule.backendRequestMs, true, 'grpc-timeout');
}

/**
 * Tells the endpoint of an attempt that starts after `elapsedMs` how long it has: what is left of the call, or the
 * timeout of the attempt where that is shorter (Envoy does the same). Nothing is stated for a call without a deadline.
 */
export function writeGrpcTimeout(headers: HeaderList, timeouts: Timeouts, elapsedMs: number): void {
  if (timeouts.requestMs === 0) return;
  const tryMs = attemptTimeoutMs(timeouts, elapsedMs);
  // A first attempt that starts at once passes on what came.
  if (tryMs === 0 && timeouts.statedBy === 'grpc-timeout' && elapsedMs < 1) return;
  const leftMs = tryMs === 0 ? remainingMs(timeouts, elapsedMs) : tryMs;
  headers.setClean(H['grpc-timeout'], formatGrpcTimeout(leftMs));
}
