/**
 * Bytes over a connection that is made already, as Envoy's TCP health check: what it sends, and what has to come back.
 * With nothing to wait for, to be connected is enough.
 */
import type { Socket } from 'node:net';
import { LIMITS } from '../../base/index.ts';
import type { TcpHealthCheckConfig } from '../../config/index.ts';
import type { ProbeResult } from './probe.ts';

/** Rejects when the connection breaks, or its owner destroys it. */
export function exchangeBytes(socket: Socket, { send, receive }: TcpHealthCheckConfig): Promise<ProbeResult> {
  const wanted = receive.map((digits) => Buffer.from(digits, 'hex'));
  if (send !== '') socket.write(Buffer.from(send, 'hex'));
  if (wanted.length === 0) return Promise.resolve({ passed: true, reason: 'connected' });
  let seen = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => resolve({ passed: false, reason, failureType: 'ACTIVE' });
    socket.on('data', (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      if (holdsInOrder(seen, wanted)) resolve({ passed: true, reason: `received ${seen.length} bytes` });
      else if (seen.length > LIMITS.healthBodyBytes) fail(`${seen.length} bytes without what is expected`);
    });
    socket.once('end', () => fail(`closed after ${seen.length} bytes without what is expected`));
    socket.once('close', () => reject(socket.errored ?? new Error('closed')));
  });
}

/** Each of `wanted` behind the one before it, with anything in between. */
function holdsInOrder(bytes: Buffer, wanted: readonly Buffer[]): boolean {
  let from = 0;
  for (const segment of wanted) {
    const at = bytes.indexOf(segment, from);
    if (at < 0) return false;
    from = at + segment.length;
  }
  return true;
}
