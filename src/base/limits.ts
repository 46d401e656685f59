/**
 * Every bound in one place, each with its reason. What a user can change is a default here and a
 * field of the configuration; the rest are bounds that no correct peer meets.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  // Messages. nginx and Node allow 8 and 16 KiB of headers, Envoy 60 KiB: meshes carry large tokens.
  requestLineBytes: 16 * KIB,
  headerBytes: 60 * KIB,
  headerCount: 100,
  trailerBytes: 8 * KIB,
  trailerCount: 32,
  /** Digits of a chunk size: 2^52 bytes in one chunk is beyond any body. */
  chunkSizeDigits: 13,
  chunkExtensionBytes: 1 * KIB,
  /** Sum of chunk extension bytes in one message: an attacker's cheapest way to make us work for nothing. */
  chunkExtensionBytesTotal: 16 * KIB,
  /** Interim (1xx) answers to one request; a correct origin sends a handful. */
  informationalResponses: 16,
  /** Empty lines before a request line that are skipped (RFC 9112 section 2.2 asks for at least one). */
  leadingEmptyLines: 4,

  // Memory per exchange. Envoy buffers 1 MiB a direction; 64 KiB is Linkerd's replay cap.
  /** Unsent bytes on one socket above which its source is paused. */
  highWaterBytes: 256 * KIB,
  /** Bytes kept of a request body so that it can be sent again; over it the retry is abandoned and counted. */
  replayBytes: 64 * KIB,
  /** How long a service that a mirrored request could not reach gets no other. */
  mirrorPauseMs: 100,
  /** Bytes of following requests that a pipelining client may have parked with us. */
  pipelinedBytes: 64 * KIB,

  // HTTP/2.
  /** What a peer may send on one stream before it is read: what a reader that stops makes us keep. */
  http2StreamWindow: 256 * KIB,
  /** The same of a whole connection, given back as bytes come. */
  http2ConnectionWindow: 1 * MIB,
  /** Unsent bytes of one stream above which its source is paused. */
  http2QueueBytes: 64 * KIB,
  /**
   * Unsent bytes of one connection above which no request is taken: bodies stop at `highWaterBytes`, what is beyond are
   * heads and answers to PING that the peer does not read.
   */
  http2UnreadBytes: 1 * MIB,
  /** Payload of one DATA frame, however much the peer takes: other streams wait while it is sent. */
  http2FrameBytes: 16 * KIB,
  /** CONTINUATION frames of one header block: four hold the largest block there may be. */
  http2Continuations: 16,
  /** Streams that a client opens before the server's SETTINGS have come (RFC 9113 section 6.5.2 recommends 100). */
  http2StreamsBeforeSettings: 100,
  /** Streams open at a time on one connection, either side: what RFC 9113 section 6.5.2 recommends as the least. */
  http2ConcurrentStreams: 100,

  /** How long a peer may take to send its SETTINGS, and to acknowledge ours. */
  http2SettingsMs: 10_000,

  // PROXY protocol.
  /** Of version 2, TLVs included; the addresses of IPv6 take 52, and what proxies add a few hundred. */
  proxyHeaderBytes: 4 * KIB,

  // TCP, and TLS passed through.
  /** Of a ClientHello, records included, that is read for its server name: Envoy's bound. */
  clientHelloBytes: 64 * KIB,
  /** Endpoints tried for one connection, each another one, before any byte was sent to the last. */
  tcpConnectAttempts: 3,

  // Connections.
  downstreamConnectionsPerWorker: 20_000,
  /** Share of the descriptors that clients' connections may not take: each that is in use needs one to an endpoint. */
  reservedDescriptors: 0.25,
  /** Between two log lines that say that descriptors are used up. */
  exhaustedLogMs: 10_000,
  requestsPerConnection: 1_000_000,
  /** Idle upstream connections one worker keeps for one endpoint. */
  idleConnectionsPerEndpoint: 256,
  /** Connections that wait to be accepted; the kernel caps it at net.core.somaxconn. */
  listenBacklog: 4_096,

  /** Ranges of one listener; each is looked at once per caller. */
  trustedCallers: 256,

  // What a trusted caller may ask for by x-envoy-* fields.
  /** As many as a rule may state. */
  callerRetriesMax: 100,
  /** As long as a rule may state. */
  callerTimeoutMs: 99_999 * 3_600_000,
  /** Retry policies kept per rule for what callers ask; a caller asks for the same every time. */
  callerPoliciesPerRule: 64,
  /** Addresses of callers of which one listener of a worker knows whether they are trusted. */
  knownCallers: 4_096,

  // Waits, in milliseconds.
  /** The longest delay that may be injected on purpose. */
  faultDelayMs: 300_000,
  headerTimeoutMs: 10_000,
  tlsHandshakeTimeoutMs: 10_000,
  downstreamIdleTimeoutMs: 300_000,
  upstreamIdleTimeoutMs: 60_000,
  /** For the first byte, where a connection may turn out to be TCP: a server that speaks first waits it out. */
  detectTimeoutMs: 200,
  /** WebSocket and TCP connections: Envoy's hour. */
  tunnelIdleTimeoutMs: 3_600_000,
  /** For a connection slot of a service, before a TCP connection is refused: as long as a request waits. */
  slotWaitMs: 15_000,
  /** For the answer to a ping; a busy endpoint needs more than a round trip. */
  keepaliveTimeoutMs: 5_000,
  requestTimeoutMs: 15_000,
  connectTimeoutMs: 1_000,
  drainTimeoutMs: 5_000,
  /** Of it, how long connections may still arrive and be answered once, with `Connection: close`. */
  drainGraceMs: 500,
  /** How long an answered connection that the client still writes to is read and thrown away (lingering close). */
  lingerMs: 1_000,
  lingerBytes: 1 * MIB,
  /** How long an upstream connection closed to hand its slot over may take to be closed by the peer too. */
  gracefulCloseMs: 250,

  // Tables.
  services: 16_384,
  endpoints: 65_536,
  /** Of one service: each has a picker, and with maglev a table of 256 KiB, in every worker. */
  subsets: 64,
  listeners: 256,
  /** One bit each in the ledger's masks of waiting workers, less one for a successor beside the worker it replaces. */
  workers: 30,
  routes: 65_536,
  /** Rate limits of all rules, services and listeners together: 64 bytes each. */
  rateLimits: 4_096,
  /** Those of them that count each key by itself: 256 KiB each, of memory that is there once it is used. */
  rateLimitTables: 128,
  /** Of an answer of a rate limit service; what it adds to heads could not be sent on if it were larger. */
  rateLimitAnswerBytes: 64 * KIB,
  /** Callers known at once, a power of two: sixteen times the pods of a large node. Further ones pass uncounted. */
  callers: 4_096,

  // What one caller may hold, so that it can't take all there is: ingress and NAT put many clients behind one address.
  /** Half of what one listener of one worker takes. */
  callerConnections: 10_000,
  callerRequests: 10_000,
  /** A thousand connections that read nothing, each at `highWaterBytes`. */
  callerBufferedBytes: 256 * MIB,
  /** Some forty requests; others wait twice as long at most, where they waited for all of its connections. */
  callerTurnMs: 2,
  /** A client that is broken and backs off makes one in seconds; an attack needs hundreds a second to be felt. */
  callerOffences: 10,
  callerOffenceRefillMs: 1_000,
  /** The bucket is full again after as long. */
  callerPenaltyMs: 10_000,
  /** Connections turned away because of their caller that a listener of a worker records: hundreds of a second are alike. */
  callerRefusalsPerSecond: 10,

  // TLS.
  /** Endpoints of one service of which one worker keeps a session; the one used longest ago goes. */
  tlsSessionsPerService: 1_024,
  /** A session holds the endpoint's certificate chain, 1 to 3 KiB; a larger one is not worth its memory. */
  tlsSessionBytes: 16 * KIB,
  /** A certificate, key or CA file; the bundle of all public CAs has 230 KiB. */
  secretFileBytes: 4 * MIB,

  // Telemetry.
  /** Finished records a worker holds before it hands them over. */
  recordsPerBatch: 256,
  /** How long a worker that ends may go on writing its access log. */
  logCloseMs: 1_000,
  /** How long finished records may wait for company before they are handed over. */
  recordFlushMs: 100,
  /** Batches under way to the supervisor per worker; beyond it records are dropped and counted. */
  batchesInFlight: 16,
  tracesKept: 512,
  spansPerTraceKept: 256,
  decisionsKept: 4_096,
  spanQueue: 8_192,
  accessLogBufferBytes: 4 * MIB,
  /** Spans kept over all traces: 2 KB each, 6 KB with the longest texts, so 16 MB of traces, 48 at worst. */
  spansKept: 8_192,
  /** Decision records a worker hands over per second: the store keeps 4,096, and refusing must stay cheap. */
  decisionsPerSecond: 1_000,
  /** Characters kept of one text that a client chose (path, user agent), in records and log lines. */
  recordedTextChars: 1_024,
  /** Characters of an x-request-id that is passed on; a UUID has 36. */
  requestIdChars: 128,
  metricSeriesPerWorker: 20_000,
  /** How long the series of a removed service stay on /metrics: two scrapes at Prometheus' slowest usual pace. */
  removedSeriesMs: 120_000,

  // Supervision.
  heartbeatMs: 250,
  watchdogMs: 10_000,
  configFileBytes: 16 * MIB,
  /** YAML nodes of a configuration with its aliases expanded: ten times that of 50,000 endpoints. */
  configNodes: 2_000_000,
  /** Nesting of a configuration; the deepest field stands at 10. */
  configDepth: 64,
  /** Faults listed of one configuration; beyond it only their number is told. */
  configFaults: 500,
  /** Instructions of a compiled regular expression: re2js then stays under 3 ms on the longest request line. */
  regexInstructions: 2_000,
  directResponseBytes: 64 * KIB,
  /** Addresses taken of one DNS name. */
  dnsAddresses: 1_024,
  adminBodyBytes: 64 * KIB,
  /** Open connections to the admin server: people, probes and scrapers need a few. */
  adminConnections: 256,
  /** How long a worker may take from its start until it listens; loading the code takes about 0.2 s on an idle core. */
  workerStartMs: 30_000,
  /** How long a worker told to end may take. A thread that cannot be interrupted holds on for ever. */
  workerEndMs: 5_000,
  /** Between two looks at what can run out; Envoy's usual second is long where a worker's queue fills in a tenth. */
  overloadRefreshMs: 250,
  /** Lateness of an event loop that means full overload: short of it, refusing costs more than it gains. */
  overloadLoopDelayMs: 1_000,
  /** Wait to be accepted that means full overload: by then clients begin to give up, and are accepted in vain. */
  overloadAcceptWaitMs: 500,
  /** Connections that may wait to be accepted at least, however slow a worker is. */
  overloadBacklogMin: 16,
  /** Idle timeout of clients under pressure. */
  overloadIdleMs: 2_000,
  /** Between two collections of a worker's garbage under pressure: each stops it for up to 0.1 s. */
  overloadCollectMs: 10_000,
  /** Wait before a worker that keeps failing is started again; doubles from the first to the second. */
  restartBackoffMinMs: 1_000,
  restartBackoffMaxMs: 30_000,
  /** A worker that lived so long is not in a crash loop. */
  restartStableMs: 60_000,
  /** Between two tries to put a valid configuration in force that a taken port or a missing secret refused. */
  refusedRetryMs: 10_000,
  /** Active health checks under way at once; further ones wait their turn, so that a large mesh is checked later, not harder. */
  healthChecksInFlight: 128,
  /** Bytes of a health answer that are read before the connection is dropped. */
  healthBodyBytes: 64 * KIB,
  /** How long a new configuration waits for the first checks of its new endpoints. */
  healthFirstCheckMs: 3_000,
} as const;
