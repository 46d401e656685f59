/**
 * Listeners, and what concerns the whole process: tracing, admin, access log, workers, drain.
 */
import { z } from 'zod';
import { formatDuration, LIMITS } from '../../base/index.ts';
import { ipRange, listenAddress } from './addresses.ts';
import { localitySchema } from './locality-leaves.ts';
import { collectorUrl, duration, percent } from './measures.ts';
import { anyText, choice, filePath, objectName } from './names.ts';
import { proxyProtocolSchema } from './proxy-protocol.ts';
import { rateLimitsSchema } from './rate-limit-schema.ts';
import { COUNT_MAX, flag, integer } from './scalar.ts';
import { labelsSchema } from './subset-schema.ts';

const certificate = z.strictObject({
  certFile: filePath().describe('PEM chain, leaf first.'),
  keyFile: filePath().describe('PEM key, not encrypted.'),
  ocspFile: filePath().optional().describe('DER OCSP response, stapled for clients that ask for it.'),
});

const listenerTls = z.strictObject({
  certificates: z
    .array(certificate)
    .describe('Chosen by the name that the client sends (SNI); the first serves where none fits.'),
  clientAuth: choice(['off', 'request', 'require'], {
    optional: 'use request: absent passes, invalid is refused',
    none: 'use off',
    mutual: 'use require',
  })
    .prefault('off')
    .describe(
      'Client certificates. request: absent passes, invalid is refused; require: absent is refused too.',
    ),
  clientCaFile: filePath()
    .optional()
    .describe('PEM bundle that client certificates must chain to. Needed unless clientAuth is off.'),
  minProtocolVersion: choice(['TLSv1_2', 'TLSv1_3'], {
    TLSv1_0: 'TLS 1.0 is broken (RFC 8996) and not offered',
    TLSv1_1: 'TLS 1.1 is broken (RFC 8996) and not offered',
    'TLSv1.2': 'write TLSv1_2',
    'TLSv1.3': 'write TLSv1_3',
  })
    .prefault('TLSv1_2')
    .describe('The oldest version accepted.'),
});

const LISTENER_PROTOCOLS = ['auto', 'http', 'http2', 'tls', 'tcp'] as const;

export const listenerSchema = z.strictObject({
  name: objectName().describe('Unique among listeners; routes name it in parentRefs.'),
  address: listenAddress().describe('IP address and port; `:8080` is every address, port 0 any free port.'),
  protocol: choice(LISTENER_PROTOCOLS, {
    https: 'use auto, and a tls section to end TLS here',
    h2: 'use http2',
    h2c: 'use http2',
    grpc: 'use http2, or auto: gRPC is HTTP/2',
    'grpc-web': 'use auto: gRPC-Web is HTTP, and translated',
    websocket: 'use auto: a WebSocket begins as HTTP',
    mysql: 'use tcp',
    udp: 'UDP is not supported',
  })
    .prefault('auto')
    .describe(
      'What clients speak. auto: HTTP/1 and HTTP/2 told apart and, where a TLS or TCP route names the listener, these too; http: HTTP/1 only; http2: HTTP/2 only; tls: passed through by server name; tcp: bytes, also where the server speaks first.',
    ),
  tls: listenerTls.optional().describe('Ends TLS here. Absent: plain.'),
  http2: z
    .strictObject({
      maxConcurrentStreams: integer({ min: 1, max: COUNT_MAX, unit: 'streams' })
        .prefault(LIMITS.http2ConcurrentStreams)
        .describe(
          'Requests that a client may have open on one connection; one more is refused (REFUSED_STREAM).',
        ),
    })
    .prefault({})
    .describe('HTTP/2 with clients.'),
  pathNormalization: choice(['NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'])
    .prefault('BASE')
    .describe("Istio's pathNormalization: what is done to a path before it is routed and sent on."),
  trustedHops: integer({ min: 0, max: 32, unit: 'proxies' })
    .prefault(0)
    .describe('Proxies in front of this one whose x-forwarded-* entries are believed.'),
  proxyProtocol: proxyProtocolSchema
    .optional()
    .describe('Connections begin with a PROXY header, before TLS. Absent: they do not.'),
  trustedCallers: z
    .array(ipRange())
    .max(LIMITS.trustedCallers, `at most ${LIMITS.trustedCallers} ranges`)
    .prefault([])
    .describe(
      'Who may steer retries, timeouts, faults and the name of the span by x-envoy-* request headers: the client and every address in x-forwarded-for have to be in these ranges. From others such headers are removed. Empty: nobody.',
    ),
  proxyHeaders: z
    .strictObject({
      envoyDebugHeaders: flag()
        .prefault(true)
        .describe(
          'x-envoy-expected-rq-timeout-ms and x-envoy-original-path to backends, x-envoy-upstream-service-time and x-envoy-overloaded to clients.',
        ),
      attemptCount: flag().prefault(true).describe('x-envoy-attempt-count to backends.'),
      attemptCountInResponse: flag().prefault(false).describe('x-envoy-attempt-count to clients.'),
    })
    .prefault({})
    .describe("Headers that say what this proxy does: Istio's ProxyConfig.proxyHeaders."),
  timeouts: z
    .strictObject({
      header: duration({ min: 1 })
        .prefault(formatDuration(LIMITS.headerTimeoutMs))
        .describe('From the first byte of a request to the end of its headers.'),
      idle: duration({ min: 0 })
        .prefault(formatDuration(LIMITS.downstreamIdleTimeoutMs))
        .describe('Without a request, and without a byte moving in one. 0s: off.'),
      detect: duration({ min: 0 })
        .prefault(formatDuration(LIMITS.detectTimeoutMs))
        .describe(
          'protocol auto, with a TCP route: a client silent for so long speaks TCP. 0s: waits for ever. For servers that speak first use protocol tcp, which waits for nothing.',
        ),
      tunnelIdle: duration({ min: 0 })
        .prefault(formatDuration(LIMITS.tunnelIdleTimeoutMs))
        .describe('WebSocket, TLS passed through and TCP: without a byte either way. 0s: off.'),
      tunnelMax: duration({ min: 0 })
        .prefault('0s')
        .describe('The longest that a WebSocket, TLS or TCP connection is carried. 0s: off.'),
    })
    .prefault({})
    .describe('How long a client may take.'),
  limits: z
    .strictObject({
      maxHeaderBytes: integer({ min: 1024, max: 1024 * 1024, unit: 'bytes' })
        .prefault(LIMITS.headerBytes)
        .describe('All headers of a request together (431 above).'),
      maxRequestBytes: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, unit: 'bytes' })
        .prefault(0)
        .describe('A request body (413 above); 0: no bound, bodies are streamed.'),
      maxConnections: integer({ min: 1, max: COUNT_MAX, unit: 'connections' })
        .prefault(LIMITS.downstreamConnectionsPerWorker)
        .describe('Open connections of clients, per worker.'),
    })
    .prefault({})
    .describe('How much a client may send.'),
  rateLimits: rateLimitsSchema('the requests of all its routes'),
});

const PROPAGATION = ['w3c', 'b3', 'b3multi', 'jaeger'] as const;

export const tracingSchema = z.strictObject({
  sampling: percent()
    .prefault('1%')
    .describe("Share of requests that start a trace here; callers' decisions are kept."),
  serviceName: anyText('the name of a service', 256)
    .prefault('outboard')
    .describe('service.name (OpenTelemetry) of spans that belong to no service of the configuration.'),
  propagation: z
    .array(
      choice(PROPAGATION, {
        tracecontext: 'write w3c',
        traceparent: 'write w3c',
        zipkin: 'write b3 or b3multi',
        'uber-trace-id': 'write jaeger',
      }),
    )
    .prefault(['w3c'])
    .describe('Formats sent on beside those that came in.'),
  otlp: z
    .strictObject({ endpoint: collectorUrl().describe('Base URL; /v1/traces is added.') })
    .optional()
    .describe('Where spans go. Absent: to memory only, see /traces.'),
});

export const adminSchema = z.strictObject({
  address: listenAddress().prefault('127.0.0.1:15000').describe('Anyone who reaches it may drain the proxy.'),
});

export const accessLogSchema = z.strictObject({
  path: filePath().describe('A file, or `stdout`. SIGUSR1 reopens it.'),
});

export const workersSchema = () =>
  integer({ min: 1, max: LIMITS.workers, unit: 'threads' })
    .optional()
    .describe('Threads that carry traffic. Default: as many as processors, up to that number.');

export const drainSchema = () =>
  duration({ min: 0, max: 86_400_000 })
    .prefault(formatDuration(LIMITS.drainTimeoutMs))
    .describe(
      'How long requests in flight may take to end when the proxy is told to; the same for WebSocket and TCP connections of a listener that is removed or moved.',
    );

export const nodeLocalitySchema = () =>
  localitySchema().optional().describe('Where this node is, for services that balance by locality.');

export const nodeLabelsSchema = () =>
  labelsSchema()
    .optional()
    .describe('Labels of this node, such as kubernetes.io/hostname, for services with failoverPriority.');

export type ListenerFields = z.infer<typeof listenerSchema>;
