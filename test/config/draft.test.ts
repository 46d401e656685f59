import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSnapshot, removedSlots, type ServiceDraft, type SlotOf } from '../../src/config/index.ts';
import { draftOf, slotAllocator } from './kit.ts';

const MINIMAL = `
listeners: [{ name: web, address: ":8080" }]
routes: [{ name: r, rules: [{ backendRefs: [{ name: s }] }] }]
services: [{ name: s, endpoints: [{ address: "[FD00::1]:80" }] }]
`;

const FULL = `
listeners:
  - name: web
    address: 127.0.0.1:8443
    protocol: auto
    tls:
      certificates: [{ certFile: web.pem, keyFile: web.key }, { certFile: /abs/b.pem, keyFile: b.key, ocspFile: b.ocsp }]
      clientAuth: request
      clientCaFile: clients.pem
      minProtocolVersion: TLSv1_3
    pathNormalization: MERGE_SLASHES
    trustedHops: 2
    timeouts: { header: 3s, idle: 0s }
    limits: { maxHeaderBytes: 8192, maxRequestBytes: 1000, maxConnections: 10 }
routes:
  - name: cart
    parentRefs: [{ sectionName: web }]
    hostnames: [Cart.Shop, "*.cart.shop"]
    rules:
      - name: main
        matches:
          - path: { type: PathPrefix, value: / }
            method: GET
            headers: [{ name: X-Env, value: prod }]
            queryParams: [{ type: RegularExpression, name: Q, value: "a+" }]
        filters:
          - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-A, value: "1" }], remove: [X-B] } }
          - { type: URLRewrite, urlRewrite: { hostname: a.b, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } } }
        backendRefs: [{ name: cart, weight: 90 }, { name: cart-next, weight: 10 }]
        timeouts: { request: 15s, backendRequest: 2s }
        retry: { attempts: 2, retryOn: [connect-failure, reset-before-request], codes: [503], backoff: 30ms }
      - filters: [{ type: RequestRedirect, requestRedirect: { scheme: https } }]
services:
  - name: cart
    endpoints: [{ address: 127.0.0.1:9001 }, { address: 127.0.0.1:9002, weight: 2 }]
    retryBudget: { percent: 25% }
    outlierDetection: {}
    healthCheck: { path: /healthz, expectedStatuses: [200, 300-399] }
    tls: { sni: cart.shop, caFile: ca.pem, subjectAltNames: [cart.shop], certFile: c.pem, keyFile: c.key }
  - { name: cart-next, dns: "Cart-Next.local:80", tls: {}, retryBudget: off }
tracing: { sampling: 12.5%, otlp: { endpoint: "http://127.0.0.1:4318/v1/traces" } }
accessLog: { path: log/access.json }
admin: { address: 127.0.0.1:15001 }
callers:
  { maxConnections: 100, maxRequests: 0, maxBufferedBytes: 1048576, turn: 0s, offences: off, ipv6PrefixLength: 128 }
workers: 2
drainTimeout: 1m
`;

test('fills in every default', () => {
  const draft = draftOf(MINIMAL);
  assert.deepEqual(draft, {
    node: {
      tracing: { sampling: 0.01, otlpEndpoint: null, serviceName: 'outboard', propagation: ['w3c'] },
      admin: { host: '127.0.0.1', port: 15000 },
      accessLog: { path: null },
      callers: {
        maxConnections: 10_000,
        maxRequests: 10_000,
        maxBufferedBytes: 268_435_456,
        turnMs: 2,
        offences: { burst: 10, refillMs: 1_000, penaltyMs: 10_000 },
        ipv6PrefixLength: 64,
      },
      workers: 4,
      locality: null,
      drainTimeoutMs: 5000,
      overload: null,
    },
    listeners: [
      {
        name: 'web',
        host: '',
        port: 8080,
        protocol: 'auto',
        tls: null,
        pathNormalization: 'BASE',
        trustedHops: 0,
        proxyProtocol: null,
        trustedCallers: [],
        proxyHeaders: { envoyDebugHeaders: true, attemptCount: true, attemptCountInResponse: false },
        http2: { maxConcurrentStreams: 100 },
        headerTimeoutMs: 10_000,
        idleTimeoutMs: 300_000,
        detectTimeoutMs: 200,
        tunnelIdleTimeoutMs: 3_600_000,
        tunnelMaxMs: 0,
        maxHeaderBytes: 61_440,
        maxRequestBytes: 0,
        maxConnections: 20_000,
        rateLimits: [],
      },
    ],
    routes: [
      {
        name: 'r',
        listeners: [],
        hostnames: [],
        rules: [
          {
            name: 'r/0',
            priority: 'default',
            matches: [
              {
                path: { type: 'PathPrefix', value: '/' },
                method: null,
                grpc: false,
                headers: [],
                queryParams: [],
              },
            ],
            filters: [],
            backends: [{ service: 's', subset: null, weight: 1, filters: [] }],
            timeouts: { requestMs: 15_000, backendRequestMs: 0, grpcRequestMs: 0 },
            hedging: null,
            fault: null,
            maxRequestBytes: null,
            rateLimits: [],
            globalRateLimit: null,
            retry: {
              attempts: 2,
              retryOn: [],
              codes: [],
              retriableHeaders: [],
              backoffBaseMs: 25,
              backoffMaxMs: 250,
              resetHeaders: [{ name: 'retry-after', format: 'SECONDS' }],
              resetMaxMs: 300_000,
              replayBytes: 65_536,
              hostSelectionAttempts: 1,
            },
          },
        ],
      },
    ],
    tlsRoutes: [],
    tcpRoutes: [],
    services: [
      {
        name: 's',
        protocol: 'auto',
        endpoints: [{ address: 'fd00::1', port: 80, weight: 1, priority: 0, locality: null, labels: null }],
        dns: null,
        loadBalancer: {
          policy: 'least-request',
          consistentHash: null,
          peakEwma: null,
          slowStart: null,
          overprovisioningFactor: 140,
          locality: null,
        },
        connectTimeoutMs: 1000,
        idleTimeoutMs: 60_000,
        maxConnectionAgeMs: 0,
        http2: { maxConcurrentStreams: 100, keepaliveIntervalMs: 0, keepaliveTimeoutMs: 5_000 },
        circuitBreaker: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 },
        retryBudget: { percent: 20, intervalMs: 10_000, minCount: 10, minIntervalMs: 1000 },
        adaptiveConcurrency: null,
        outlierDetection: null,
        healthCheck: null,
        tls: null,
        subsets: [],
        subsetFallback: 'none',
        defaultSubset: null,
        sessionPersistence: null,
        proxyProtocol: null,
        panicThreshold: 50,
        rateLimits: [],
      },
    ],
    secrets: { certificates: [], bundles: [] },
  });
});

test('reads every section, and names secrets by the file of the certificate', () => {
  const { node, listeners, routes, services, secrets } = draftOf(FULL);
  assert.deepEqual(node, {
    tracing: {
      sampling: 0.125,
      otlpEndpoint: 'http://127.0.0.1:4318',
      serviceName: 'outboard',
      propagation: ['w3c'],
    },
    admin: { host: '127.0.0.1', port: 15001 },
    accessLog: { path: '/etc/outboard/log/access.json' },
    callers: {
      maxConnections: 100,
      maxRequests: 0,
      maxBufferedBytes: 1_048_576,
      turnMs: 0,
      offences: null,
      ipv6PrefixLength: 128,
    },
    workers: 2,
    locality: null,
    drainTimeoutMs: 60_000,
    overload: null,
  });
  assert.deepEqual(listeners[0]?.tls, {
    certificates: ['file:/etc/outboard/web.pem', 'file:/abs/b.pem'],
    clientAuth: 'request',
    clientCa: 'file:/etc/outboard/clients.pem',
    minProtocolVersion: 'TLSv1_3',
    alpn: ['h2', 'http/1.1'],
  });
  assert.deepEqual(routes[0]?.hostnames, ['cart.shop', '*.cart.shop']);
  assert.equal(routes[0]?.rules[0]?.name, 'main');
  assert.equal(routes[0]?.rules[1]?.name, 'cart/1');
  assert.deepEqual(routes[0]?.rules[0]?.matches[0]?.headers, [
    { type: 'Exact', name: 'x-env', value: 'prod' },
  ]);
  assert.deepEqual(routes[0]?.rules[0]?.matches[0]?.queryParams, [
    { type: 'RegularExpression', name: 'Q', value: 'a+' },
  ]);
  assert.deepEqual(routes[0]?.rules[0]?.filters, [
    { type: 'RequestHeaderModifier', set: [{ name: 'X-A', value: '1' }], add: [], remove: ['x-b'] },
    { type: 'URLRewrite', hostname: 'a.b', path: { type: 'ReplacePrefixMatch', value: '/new' } },
  ]);
  assert.equal(routes[0]?.rules[0]?.retry.backoffMaxMs, 300);
  assert.deepEqual(routes[0]?.rules[1]?.filters, [
    { type: 'RequestRedirect', scheme: 'https', hostname: null, port: null, path: null, statusCode: 302 },
  ]);
  assert.deepEqual(services[0]?.healthCheck?.expectedStatuses, [
    [200, 200],
    [300, 399],
  ]);
  assert.equal(services[0]?.retryBudget?.percent, 25);
  assert.equal(services[1]?.retryBudget, null);
  assert.equal(services[1]?.tls?.sni, 'cart-next.local');
  assert.deepEqual(services[1]?.dns, {
    name: 'Cart-Next.local',
    port: 80,
    refreshMs: 5000,
    lookupFamily: 'V4_PREFERRED',
  });
  assert.deepEqual(secrets, {
    certificates: [
      {
        name: 'file:/etc/outboard/web.pem',
        certFile: '/etc/outboard/web.pem',
        keyFile: '/etc/outboard/web.key',
        ocspFile: null,
      },
      {
        name: 'file:/abs/b.pem',
        certFile: '/abs/b.pem',
        keyFile: '/etc/outboard/b.key',
        ocspFile: '/etc/outboard/b.ocsp',
      },
      {
        name: 'file:/etc/outboard/c.pem',
        certFile: '/etc/outboard/c.pem',
        keyFile: '/etc/outboard/c.key',
        ocspFile: null,
      },
    ],
    bundles: [
      { name: 'file:/etc/outboard/clients.pem', caFile: '/etc/outboard/clients.pem' },
      { name: 'file:/etc/outboard/ca.pem', caFile: '/etc/outboard/ca.pem' },
    ],
  });
});

test('a snapshot has a slot for each service and endpoint, and keeps it while the key lives', () => {
  const slotOf = slotAllocator();
  const first = buildSnapshot(draftOf(FULL), 1, slotOf);
  const changed = draftOf(FULL.replace('127.0.0.1:9001', '127.0.0.1:9003').replace('connectTimeout: 1s', ''));
  const second = buildSnapshot(changed, 2, slotOf);
  const [a, b] = first.services[0]?.endpoints ?? [];
  const [c, d] = second.services[0]?.endpoints ?? [];
  assert.equal(second.services[0]?.slot, first.services[0]?.slot);
  assert.equal(d?.slot, b?.slot);
  assert.notEqual(c?.slot, a?.slot);
  assert.deepEqual(removedSlots(first, second), [
    { kind: 'endpoint', key: 'cart|127.0.0.1:9001', slot: a?.slot },
  ]);
  assert.deepEqual(
    removedSlots(first, { ...second, services: second.services.slice(1) }).map((slot) => slot.key),
    ['cart', 'cart|127.0.0.1:9001', 'cart|127.0.0.1:9002'],
  );
});

test('a service whose draft is in force is taken from there, and asks for no slot', () => {
  const asked: string[] = [];
  const give = slotAllocator();
  const slotOf: SlotOf = (kind, key) => {
    asked.push(key);
    return give(kind, key);
  };
  const draft = draftOf(FULL);
  const inForce = { draft, snapshot: buildSnapshot(draft, 1, slotOf) };
  asked.length = 0;
  const [cart, next] = draft.services as [ServiceDraft, ServiceDraft];
  const same = buildSnapshot({ ...draft, services: [cart, next] }, 2, slotOf, inForce);
  assert.equal(same.services, inForce.snapshot.services);
  assert.equal(same.routes, inForce.snapshot.routes);
  const moved = { ...draft, services: [next, { ...cart, endpoints: cart.endpoints.slice(1) }] };
  const other = buildSnapshot(moved, 3, slotOf, inForce);
  assert.equal(other.services[0], inForce.snapshot.services[1]);
  assert.deepEqual(asked, ['cart', 'cart|127.0.0.1:9002']);
  assert.deepEqual(
    removedSlots(inForce.snapshot, other).map((slot) => slot.key),
    ['cart|127.0.0.1:9001'],
  );
  assert.deepEqual(removedSlots(inForce.snapshot, same), []);
});
