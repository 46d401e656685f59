import { type FaultCase, tellsFaults, tellsWarnings, type WarningCase } from './fault-cases.ts';

/** Flow mappings without their braces, one to a line, as the members of a list. */
const list = (name: string, members: readonly string[]) =>
  members.length === 0 ? '' : `${name}:\n${members.map((member) => `  - { ${member} }\n`).join('')}`;

interface Parts {
  readonly listeners?: readonly string[];
  readonly routes?: readonly string[];
  readonly tls?: readonly string[];
  readonly tcp?: readonly string[];
  readonly services?: readonly string[];
}

const WEB = 'name: web, address: ":80"';
const TO_S = 'backendRefs: [{ name: s }]';
const ROUTE = `name: r, rules: [{ ${TO_S} }]`;
const at = (more = '') => `name: s, endpoints: [{ address: 1.2.3.4:80 }]${more}`;

function config({ listeners = [WEB], routes = [], tls = [], tcp = [], services = [at()] }: Parts): string {
  return (
    list('listeners', listeners) +
    list('routes', routes) +
    list('tlsRoutes', tls) +
    list('tcpRoutes', tcp) +
    list('services', services)
  );
}

const match = (fields: string) =>
  config({ routes: [`name: r, rules: [{ ${TO_S}, matches: [{ ${fields} }] }]`] });
const rule = (fields: string) => config({ routes: [`name: r, rules: [{ ${TO_S}, ${fields} }]`] });
const service = (fields: string) => config({ routes: [ROUTE], services: [at(`, ${fields}`)] });
const TLS_SECTION = 'tls: { certificates: [{ certFile: a.pem, keyFile: a.key }] }';

const CASES: readonly FaultCase[] = [
  // Protocols.
  {
    name: "other words for a listener's protocol",
    yaml: config({
      listeners: [`${WEB}, protocol: ¦https`, 'name: b, address: ":81", protocol: ¦grpc'],
      routes: [ROUTE],
    }),
    faults: [
      ['listeners[0].protocol', 'one of auto, http, http2, tls, tcp', 'a tls section'],
      ['listeners[1].protocol', 'one of auto', 'gRPC is HTTP/2'],
    ],
  },
  {
    name: "other words for a service's protocol",
    yaml: service('protocol: ¦h2'),
    faults: [['services[0].protocol', 'one of auto, http, http2, grpc, tcp', 'use http2']],
  },
  {
    name: 'a stream limit of none',
    yaml: service('http2: { maxConcurrentStreams: ¦0 }, protocol: http2'),
    faults: [['http2.maxConcurrentStreams', 'from 1 to 2147483647', 'write 1 or more']],
  },
  {
    name: 'a ping that is never given up',
    yaml: service('http2: { keepaliveTimeout: ¦0s }, protocol: http2'),
    faults: [['http2.keepaliveTimeout', 'above 0', "can't be switched off"]],
  },
  {
    name: "Istio's word for the age of a connection",
    yaml: service('¦maxConnectionDuration: 1h'),
    faults: [['services[0].maxConnectionDuration', 'one of the keys', 'maxConnectionAge']],
  },
  // gRPC matches.
  {
    name: 'a gRPC match beside a path and a method',
    yaml: match('grpc: { service: a.B }, path: ¦{ value: /x }, method: ¦POST'),
    faults: [
      ['matches[0].path', 'no path beside grpc', 'a match of its own'],
      ['matches[0].method', 'no method beside grpc', 'a match of its own'],
    ],
  },
  {
    name: 'a gRPC match of nothing',
    yaml: match('grpc: ¦{}'),
    faults: [['matches[0].grpc', 'service, method or both', 'application/grpc']],
  },
  {
    name: 'names of gRPC that are none',
    yaml: rule(
      'matches: [{ grpc: { service: ¦a/B } }, { grpc: { service: ¦.a.B } }, { grpc: { method: ¦Get* } }, { grpc: { service: ¦"" } }, { grpc: { service: ¦a..b, method: ¦a.b } }]',
    ),
    faults: [
      ['matches[0].grpc.service', 'such as shop.v1.Cart', 'PACKAGE.SERVICE'],
      ['matches[1].grpc.service', 'such as shop.v1.Cart', 'dot in front'],
      ['matches[2].grpc.method', 'such as AddItem', 'RegularExpression'],
      ['matches[3].grpc.service', 'such as shop.v1.Cart', 'leave service out'],
      ['matches[4].grpc.service', 'such as shop.v1.Cart', 'letters'],
      ['matches[4].grpc.method', 'such as AddItem', 'letters'],
    ],
  },
  {
    name: 'patterns of gRPC that can not be',
    yaml: rule(
      'matches: [{ grpc: { type: RegularExpression, service: ¦"a/b" } }, { grpc: { type: RegularExpression, method: ¦"(?=a)b" } }, { grpc: ¦{ type: RegularExpression, service: "\\\\Qa", method: "b" } }]',
    ),
    faults: [
      ['matches[0].grpc.service', 'holds no "/"', 'write . for any character'],
      ['matches[1].grpc.method', 'lookahead', 'several matches'],
      ['matches[2].grpc', 'together a regular expression', 're2'],
    ],
  },
  {
    name: 'a prefix replaced where a method is matched',
    yaml: rule(
      'matches: [{ grpc: { service: a.B, method: C } }], filters: [{ type: URLRewrite, urlRewrite: { path: { type: ¦ReplacePrefixMatch, replacePrefixMatch: /x } } }]',
    ),
    faults: [['urlRewrite.path.type', 'a PathPrefix in every match', 'ReplaceFullPath']],
  },
  // Health checks.
  {
    name: 'a gRPC health check with the parts of another',
    yaml: service('protocol: grpc, healthCheck: { grpc: {}, path: ¦/x, expectedStatuses: ¦[200, 204] }'),
    faults: [
      ['healthCheck.path', 'no path beside grpc', 'SERVING'],
      ['healthCheck.expectedStatuses', 'no expectedStatuses beside grpc', 'SERVING'],
    ],
  },
  {
    name: 'a gRPC health check of endpoints that hear HTTP/1.1',
    yaml: service('healthCheck: { grpc: ¦{} }'),
    faults: [['healthCheck.grpc', 'protocol: http2 or grpc', 'write protocol: grpc']],
  },
  // TLS and TCP listeners.
  {
    name: 'listeners without the routes that they live by',
    yaml: config({
      listeners: ['name: a, address: ":1", protocol: ¦tls', 'name: b, address: ":2", protocol: ¦tcp'],
    }),
    faults: [
      ['listeners[0].protocol', 'a TLS route', 'parentRefs: [{ sectionName: a }]'],
      ['listeners[1].protocol', 'a TCP route', 'tcpRoutes:'],
    ],
  },
  {
    name: 'a listener that is to end the TLS that it passes through',
    yaml: config({
      listeners: [`name: a, address: ":1", protocol: tls, tls: ¦{ ${TLS_SECTION.slice(7)}`],
      tls: [`name: t, ${TO_S}`],
    }),
    faults: [['listeners[0].tls', 'no tls section', 'protocol: auto']],
  },
  {
    name: 'HTTP routes on listeners without HTTP, and to a service without',
    yaml: config({
      listeners: ['name: a, address: ":1", protocol: tcp', 'name: b, address: ":2", protocol: tls'],
      routes: [
        `name: r, parentRefs: [{ sectionName: ¦a }, { sectionName: ¦b }], rules: [{ backendRefs: [{ name: ¦s }] }]`,
      ],
      tls: [`name: t, ${TO_S}`],
      tcp: [`name: t, ${TO_S}`],
      services: [at(', protocol: tcp')],
    }),
    faults: [
      ['parentRefs[0].sectionName', 'a listener that carries HTTP', 'write a TCP route'],
      ['parentRefs[1].sectionName', 'a listener that carries HTTP', 'write a TLS route'],
      ['backendRefs[0].name', 'a service that speaks HTTP', 'tcpRoutes'],
    ],
  },
  {
    name: 'TLS and TCP routes on listeners that can not carry them',
    yaml: config({
      listeners: [
        'name: h, address: ":1", protocol: http',
        `name: web, address: ":2", ${TLS_SECTION}`,
        'name: c, address: ":3", protocol: tcp',
      ],
      routes: [ROUTE],
      tls: [
        `name: t, parentRefs: [{ sectionName: ¦h }, { sectionName: ¦web }, { sectionName: ¦c }, { sectionName: ¦d }], ${TO_S}`,
      ],
      tcp: [`name: t, parentRefs: [{ sectionName: ¦h }, { sectionName: c }], ${TO_S}`],
    }),
    faults: [
      ['tlsRoutes[0].parentRefs[0].sectionName', 'of protocol tls or auto', 'write protocol: tls'],
      ['tlsRoutes[0].parentRefs[1].sectionName', 'that passes TLS through', 'name another listener'],
      ['tlsRoutes[0].parentRefs[2].sectionName', 'of protocol tls or auto', ''],
      ['tlsRoutes[0].parentRefs[3].sectionName', 'the name of a listener', ''],
      ['tcpRoutes[0].parentRefs[0].sectionName', 'of protocol tcp or auto', 'write protocol: tcp'],
    ],
  },
  {
    name: 'routes that no listener takes',
    yaml: config({ routes: [ROUTE], tls: [`¦name: t, ${TO_S}`], tcp: [`¦name: t, ${TO_S}`] }).replaceAll(
      '{ ¦name',
      '¦{ name',
    ),
    faults: [
      ['tlsRoutes[0].parentRefs', 'a listener of protocol tls', 'protocol auto here'],
      ['tcpRoutes[0].parentRefs', 'a listener of protocol tcp', 'protocol auto here'],
    ],
  },
  {
    name: 'two TCP routes on one listener, named and not',
    yaml: config({
      listeners: ['name: c, address: ":3", protocol: tcp'],
      tcp: [
        `name: a, ${TO_S}`,
        `name: b, parentRefs: [{ sectionName: ¦c }], ${TO_S}`,
        `name: ¦d, ${TO_S}`,
        `name: ¦a, parentRefs: [{ sectionName: ¦c }], ${TO_S}`,
      ],
    }),
    faults: [
      ['tcpRoutes[1].parentRefs[0].sectionName', 'one TCP route for listener c', 'backendRefs'],
      ['tcpRoutes[2].name', 'one TCP route for listener c', 'a listener of its own'],
      ['tcpRoutes[3].name', 'a name that is used once', 'rename'],
      ['tcpRoutes[3].parentRefs[0].sectionName', 'one TCP route for listener c', 'backendRefs'],
    ],
  },
  {
    name: 'a server name twice on a listener, and addresses in place of names',
    yaml: config({
      listeners: ['name: p, address: ":3", protocol: tls'],
      tls: [
        `name: a, hostnames: [x.shop, "*.shop"], ${TO_S}`,
        `name: b, hostnames: [y.shop, ¦X.shop, ¦10.0.0.1], ${TO_S}`,
        `name: c, ${TO_S}`,
        `name: ¦d, ${TO_S}`,
      ],
    }),
    faults: [
      ['tlsRoutes[1].hostnames[1]', 'each server name once on listener p', 'backendRefs'],
      ['tlsRoutes[1].hostnames[2]', 'no address (RFC 6066', 'leave hostnames out'],
      ['tlsRoutes[3].name', 'one TLS route without hostnames', 'backendRefs'],
    ],
  },
  {
    name: 'TLS of ours around that of a client',
    yaml: config({
      listeners: ['name: p, address: ":3", protocol: tls', 'name: c, address: ":4", protocol: tcp'],
      tls: ['name: a, backendRefs: [{ name: ¦s }]'],
      tcp: [`name: a, ${TO_S}`],
      services: [at(', tls: { sni: s.shop }')],
    }),
    faults: [['backendRefs[0].name', 'a service without tls section', 'remove the section']],
  },
  {
    name: 'routes of connections that lead nowhere',
    yaml: config({
      listeners: ['name: p, address: ":3", protocol: tls', 'name: c, address: ":4", protocol: tcp'],
      tls: ['name: a, backendRefs: ¦[]'],
      tcp: ['name: a, backendRefs: [{ name: ¦t }]'],
    }),
    faults: [
      ['tlsRoutes[0].backendRefs', 'at least one backend', 'SERVICE'],
      ['tcpRoutes[0].backendRefs[0].name', 'the name of a service', 'services are s'],
    ],
  },
  {
    name: 'a rule and filters, where bytes have neither',
    yaml: config({
      listeners: ['name: c, address: ":4", protocol: tcp'],
      tcp: [`name: a, backendRefs: [{ name: s, ¦filters: [] }], ¦rules: []`],
    }),
    faults: [
      ['backendRefs[0].filters', 'one of the keys name, subset, weight', 'passes bytes'],
      ['tcpRoutes[0].rules', 'one of the keys', 'in the route itself'],
    ],
  },
  {
    name: 'one fault where a part that was cut would explain the next',
    yaml: config({
      listeners: ['name: c, address: ":4", protocol: ¦tpc', 'name: d, address: ":5", protocol: tcp'],
      tcp: [`name: a, parentRefs: [{ sectionName: d }], backendRefs: [{ name: ¦5 }]`],
      routes: [ROUTE],
    }),
    faults: [
      ['listeners[0].protocol', 'one of auto', 'did you mean tcp?'],
      ['backendRefs[0].name', 'a name of up to', 'quote it'],
    ],
  },
];

tellsFaults(CASES);

const WARNINGS: readonly WarningCase[] = [
  [
    'HTTP/2 settings of endpoints that hear HTTP/1.1',
    service('http2: { keepaliveInterval: 30s }'),
    'http2',
    'protocol: http2 or grpc',
  ],
  [
    'HTTP/2 settings of a listener without HTTP/2',
    config({
      listeners: ['name: w, address: ":1", protocol: http, http2: { maxConcurrentStreams: 7 }'],
      routes: [ROUTE],
    }),
    'http2',
    'protocol: auto or http2',
  ],
  [
    'GET as the check of a gRPC service',
    service('protocol: grpc, healthCheck: {}'),
    'healthCheck',
    'endpoints that answer GET',
  ],
  [
    'weights of a TCP route that are all 0',
    config({
      listeners: ['name: c, address: ":4", protocol: tcp'],
      tcp: ['name: a, backendRefs: [{ name: s, weight: 0 }]'],
    }),
    'backendRefs',
    'a weight above 0',
  ],
  [
    'a listener of HTTP without routes beside one of TCP',
    config({ listeners: [WEB, 'name: c, address: ":4", protocol: tcp'], tcp: [`name: a, ${TO_S}`] }),
    'routes',
    'at least one route',
  ],
];

tellsWarnings(WARNINGS);
