/**
 * A light, bounded trickle of visitors: three a second, one in six over TLS, never more than a few at a time. So
 * pages, metrics and traces have something to show, and a proxy that hangs is not buried.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { HOST, PORTS } from './ports.ts';

const PER_SECOND = 3;
const EVERY_TLS = 6;
const IN_FLIGHT_MAX = 4;
const TIMEOUT_MS = 10_000;

export interface Trickle {
  readonly sent: number;
  /** Visits that got no 200. */
  readonly failed: number;
  stop(): Promise<void>;
}

/** @param ca PEM of the authority that the TLS listener's certificate comes from */
export function startTrickle(ca: string, ports: { web: number; webTls: number } = PORTS): Trickle {
  let sent = 0;
  let failed = 0;
  let inFlight = 0;
  let whenIdle: (() => void) | null = null;

  const visit = (): void => {
    if (inFlight >= IN_FLIGHT_MAX) return;
    sent += 1;
    inFlight += 1;
    const options = { host: HOST, path: '/', agent: false, headers: { host: 'shop.example' } };
    const visitor =
      sent % EVERY_TLS === 0
        ? httpsRequest({ ...options, port: ports.webTls, ca, servername: 'shop.example' })
        : httpRequest({ ...options, port: ports.web });
    visitor.setTimeout(TIMEOUT_MS, () => visitor.destroy());
    let ok = false;
    visitor.on('response', (response) => {
      ok = response.statusCode === 200;
      response.resume();
    });
    visitor.on('error', () => {
      ok = false;
    });
    visitor.on('close', () => {
      if (!ok) failed += 1;
      inFlight -= 1;
      if (inFlight === 0) whenIdle?.();
    });
    visitor.end();
  };

  const timer = setInterval(visit, 1000 / PER_SECOND);
  return {
    get sent() {
      return sent;
    },
    get failed() {
      return failed;
    },
    stop: () => {
      clearInterval(timer);
      if (inFlight === 0) return Promise.resolve();
      return new Promise((resolve) => {
        whenIdle = resolve;
      });
    },
  };
}
