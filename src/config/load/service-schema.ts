/**
 * Services: who is behind a name, and every policy towards them. Defaults are Envoy's or Istio's where one
 * of them has a sound one; docs/DEVIATIONS.md lists those that differ, with the reason.
 */
import { z } from 'zod';
import { formatDuration, LIMITS } from '../../base/index.ts';
import { adaptiveConcurrencySchema } from './adaptive-concurrency.ts';
import { dnsAddress, endpointAddress } from './addresses.ts';
import { loadBalancerSchema } from './balancer-schema.ts';
import { healthCheck, outlierDetection } from './health-schema.ts';
import { duration, percent } from './measures.ts';
import { anyText, choice, filePath, hostname, objectName } from './names.ts';
import { upstreamProxyProtocol } from './proxy-protocol.ts';
import { rateLimitsSchema } from './rate-limit-schema.ts';
import { COUNT_MAX, integer } from './scalar.ts';
import { endpointFields, sessionPersistenceSchema, subsetFields } from './subset-schema.ts';

const UNLIMITED = `write ${COUNT_MAX}, which no node reaches`;
const count = (min: number, unit: string) => integer({ min, max: COUNT_MAX, unit, tooHigh: UNLIMITED });

const endpoint = z.strictObject({
  address: endpointAddress().describe('IP address and port.'),
  weight: integer({ min: 1, max: 65_535 })
    .prefault(1)
    .describe('Share of the load, relative to the other endpoints of the service.'),
  ...endpointFields,
});

const circuitBreaker = z.strictObject({
  maxConnections: count(1, 'connections')
    .prefault(1024)
    .describe('Connections to all endpoints together, over all workers of the node.'),
  maxPendingRequests: count(0, 'requests')
    .prefault(1024)
    .describe('Requests that wait for a connection; 0: none waits.'),
  maxRequests: count(1, 'requests')
    .prefault(1024)
    .describe('Requests in flight; one more is refused at once (503, flag UO).'),
  maxRetries: count(0, 'retries')
    .prefault(3)
    .describe('Retries in flight. In force only with `retryBudget: off`.'),
});

const retryBudget = z.strictObject({
  percent: percent().prefault(20).describe('Retries allowed, in percent of the requests of the interval.'),
  interval: duration({ min: 1000, max: 3_600_000 })
    .prefault('10s')
    .describe('The sliding window that is counted over.'),
  minRetryRate: z
    .strictObject({
      count: integer({ min: 0, max: 1_000_000, unit: 'retries' })
        .prefault(10)
        .describe('Retries allowed per interval.'),
      interval: duration({ min: 100, max: 3_600_000 })
        .prefault('1s')
        .describe('What the count is counted over.'),
    })
    .prefault({})
    .describe('Retries allowed whatever the percentage says, so that a quiet service can retry at all.'),
});

const tls = z.strictObject({
  sni: hostname({ wildcard: false })
    .optional()
    .describe(
      'Server name sent, and verified where subjectAltNames is empty. Default: the name in `dns`, if any.',
    ),
  caFile: filePath()
    .optional()
    .describe('PEM bundle that endpoint certificates must chain to. Default: the public roots of Node.'),
  subjectAltNames: z
    .array(anyText('a DNS name, IP address or URI', 2048))
    .prefault([])
    .describe('Names of which the certificate must hold one: DNS, IP address or URI (spiffe://…).'),
  certFile: filePath().optional().describe('PEM chain of the client certificate. Default: none is shown.'),
  keyFile: filePath().optional().describe('PEM key of certFile.'),
});

const http2 = z.strictObject({
  maxConcurrentStreams: count(1, 'streams')
    .prefault(LIMITS.http2ConcurrentStreams)
    .describe('Requests open on one connection; the endpoint may allow fewer.'),
  keepaliveInterval: duration({ min: 0 }).prefault('0s').describe('Between two pings. 0s: none.'),
  keepaliveTimeout: duration({ min: 1 })
    .prefault(formatDuration(LIMITS.keepaliveTimeoutMs))
    .describe('A connection whose ping has no answer by then is closed.'),
});

const PROTOCOLS = ['auto', 'http', 'http2', 'grpc', 'tcp'] as const;
const FAMILIES = ['AUTO', 'V4_ONLY', 'V6_ONLY', 'V4_PREFERRED', 'ALL'] as const;

export const serviceSchema = z.strictObject({
  name: objectName().describe('Unique among services.'),
  protocol: choice(PROTOCOLS, {
    h2: 'use http2',
    h2c: 'use http2',
    http1: 'use http',
    https: 'use auto, and a tls section',
    'grpc-web': 'use grpc: gRPC-Web is translated before it reaches the endpoints',
    websocket: 'use http: a WebSocket begins as HTTP/1.1',
    tls: 'use tcp, and a tls section unless a TLS route passes the TLS of the client through',
    mysql: 'use tcp',
    udp: 'UDP is not supported',
  })
    .prefault('auto')
    .describe(
      'What the endpoints speak. auto: HTTP/1.1 in plain, and HTTP/2 or HTTP/1.1 by ALPN over TLS; http: HTTP/1.1; http2 and grpc: HTTP/2; tcp: bytes.',
    ),
  endpoints: z.array(endpoint).optional().describe('The addresses behind the service. This or `dns`.'),
  dns: dnsAddress()
    .optional()
    .describe('A name whose addresses are the endpoints, all with this port. This or `endpoints`.'),
  dnsRefreshRate: duration({ min: 100, max: 86_400_000 })
    .prefault('5s')
    .describe('Between two look-ups of `dns`. A look-up that fails leaves the last addresses in place.'),
  dnsLookupFamily: choice(FAMILIES)
    .prefault('V4_PREFERRED')
    .describe("Which addresses of `dns` are taken: Envoy's dns_lookup_family."),
  loadBalancer: loadBalancerSchema.prefault({}).describe('How an endpoint is chosen.'),
  ...subsetFields,
  sessionPersistence: sessionPersistenceSchema
    .optional()
    .describe(
      "A client keeps its endpoint by a cookie or a header: Gateway API's SessionPersistence. Absent: off.",
    ),
  connectTimeout: duration({ min: 1 })
    .prefault(formatDuration(LIMITS.connectTimeoutMs))
    .describe('For the TCP and the TLS handshake together.'),
  idleTimeout: duration({ min: 1 })
    .prefault(formatDuration(LIMITS.upstreamIdleTimeoutMs))
    .describe("An unused connection to an endpoint is closed after this. Keep it below the endpoint's own."),
  maxConnectionAge: duration({ min: 0 })
    .prefault('0s')
    .describe(
      "A connection this old takes no new request, and closes after its last one: Envoy's max_connection_duration. 0s: off.",
    ),
  http2: http2.prefault({}).describe('HTTP/2 with the endpoints.'),
  circuitBreaker: circuitBreaker.prefault({}).describe('Limits for the whole node, exact over all workers.'),
  retryBudget: z
    .union([choice(['off']), retryBudget])
    .prefault({})
    .describe('Bounds retries in proportion to requests; `off`: circuitBreaker.maxRetries bounds them.'),
  adaptiveConcurrency: adaptiveConcurrencySchema
    .optional()
    .describe('Limits requests in flight by the latency they have; one more gets 503. Absent: off.'),
  outlierDetection: outlierDetection
    .optional()
    .describe('Takes out endpoints that keep failing. Absent: off.'),
  healthCheck: healthCheck.optional().describe('Active checks of every endpoint. Absent: off.'),
  tls: tls.optional().describe('TLS to the endpoints, verified. Absent: plain.'),
  proxyProtocol: upstreamProxyProtocol()
    .optional()
    .describe(
      'Connections begin with a PROXY header that says whose they are, before TLS. Each then carries the requests of one connection of a client. Absent: they do not.',
    ),
  panicThreshold: percent()
    .prefault(50)
    .describe(
      'When a smaller share of the endpoints of a priority is available, and all priorities together have too few, health and ejections are ignored; 0: never.',
    ),
  rateLimits: rateLimitsSchema('the requests to it, whatever their route'),
});

export type ServiceFields = z.infer<typeof serviceSchema>;
