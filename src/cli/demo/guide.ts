/** What the demo prints: where to look, and three lines to try. */
import { randomBytes } from 'node:crypto';
import { HOST, PORTS } from './ports.ts';

export interface GuideFacts {
  /** File of the demo's certificate authority, for clients that verify. */
  readonly caFile: string;
  readonly jaeger: string | null;
}

export function guide({ caFile, jaeger }: GuideFacts): string {
  const admin = `http://${HOST}:${PORTS.admin}`;
  const mesh = `http://${HOST}:${PORTS.mesh}`;
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  return `
  shop      http://${HOST}:${PORTS.web}/   https://${HOST}:${PORTS.webTls}/
            (curl --cacert ${caFile})
  admin     ${admin}/
  traces    ${admin}/traces?format=text${jaeger === null ? '' : `   and in Jaeger, by ${jaeger}`}
  config    config/demo.yaml (save it: the running proxy takes the change)

  A retry: the first attempt fails, the second is answered; then why.
    curl -s -H 'host: stock.shop' -H 'x-request-id: retry-${spanId}' '${mesh}/stock/apples?fail=first'; sleep 1; curl -s '${admin}/decisions?request=retry-${spanId}'

  A tripped breaker: twenty at once for a replica that may have four; the rest get 503 at once.
    curl -s --no-progress-meter -Z --parallel-immediate --parallel-max 20 -H 'host: stock.shop' -o /dev/null -w '%{http_code}\\n' '${mesh}/audit?n=[1-20]'

  A trace: one page and every call behind it, retries included.
    curl -s -o /dev/null -H 'traceparent: 00-${traceId}-${spanId}-01' http://${HOST}:${PORTS.web}/; sleep 1; curl -s '${admin}/traces?format=text&id=${traceId}'

  Ctrl-C drains and ends it.
`;
}
