import { type FaultCase, tellsFaults, tellsWarnings, type WarningCase } from './fault-cases.ts';

const LISTENER = 'listeners: [{ name: web, address: ":8080" }]\n';
const service = (fields: string) =>
  `${LISTENER}routes: [{ name: r, rules: [{ backendRefs: [{ name: s }] }] }]\nservices:\n  - { name: s, endpoints: [{ address: 1.2.3.4:80 }], ${fields} }\n`;
const rule = (fields: string) =>
  `${LISTENER}services: [{ name: s, endpoints: [{ address: 1.2.3.4:80 }] }]\nroutes:\n  - name: r\n    rules:\n      - { backendRefs: [{ name: s }], ${fields} }\n`;
const match = (fields: string) => rule(`matches: [{ ${fields} }]`);
const path = (type: string, value: string) => match(`path: { type: ${type}, value: ¦'${value}' }`);

const CASES: readonly FaultCase[] = [
  // Shape.
  {
    name: 'an unknown key that is nearly right',
    yaml: 'listeners:\n  - name: web\n    ¦adress: ":80"\n    address: ":80"\nroutes: [{ name: r, rules: [{ filters: [{ type: DirectResponse, directResponse: { statusCode: 200 } }] }] }]\n',
    faults: [['listeners[0].adress', 'one of the keys name, address,', 'did you mean address?']],
  },
  {
    name: "Envoy's spelling of a key",
    yaml: service('¦circuit_breaker: {}'),
    faults: [['services[0].circuit_breaker', 'one of the keys', 'did you mean circuitBreaker?']],
  },
  {
    name: "another proxy's word",
    yaml: service('¦lbPolicy: ROUND_ROBIN'),
    faults: [['services[0].lbPolicy', 'one of the keys', 'loadBalancer: { policy:']],
  },
  {
    name: 'a key that belongs elsewhere',
    yaml: service('¦trustedHops: 1'),
    faults: [['services[0].trustedHops', 'one of the keys', 'it belongs in listeners[].trustedHops']],
  },
  {
    name: 'a key of a Gateway that parentRefs lacks',
    yaml: `${LISTENER}services: [{ name: s, endpoints: [{ address: 1.2.3.4:80 }] }]\nroutes: [{ name: r, parentRefs: [{ ¦name: gw, sectionName: web }], rules: [{ backendRefs: [{ name: s }] }] }]\n`,
    faults: [['routes[0].parentRefs[0].name', 'sectionName', 'name the listener in sectionName']],
  },
  {
    name: 'a missing key, at the place of what should hold it',
    yaml: 'listeners:\n  - ¦name: web\nroutes: [{ name: r, rules: [{ filters: [{ type: DirectResponse, directResponse: { statusCode: 200 } }] }] }]\n',
    faults: [['listeners[0].address', 'IP address and port to listen on', 'add it']],
  },
  {
    name: 'a mapping with nothing in it',
    yaml: rule('¦timeouts: '),
    faults: [['routes[0].rules[0].timeouts', 'a mapping', 'indent what belongs to it']],
  },
  {
    name: 'a mapping in place of a list',
    yaml: `${LISTENER}routes: ¦{ name: r }\n`,
    faults: [['routes', 'a list', '']],
  },
  // Leaves.
  {
    name: 'a duration without unit',
    yaml: service('connectTimeout: ¦10'),
    faults: [['services[0].connectTimeout', 'a duration such as 250ms', 'add a unit: 10s or 10ms']],
  },
  {
    name: 'a duration with a fraction',
    yaml: service('connectTimeout: ¦1.5s'),
    faults: [['services[0].connectTimeout', 'a duration', '1.5s is 1500ms']],
  },
  {
    name: 'a timeout of 0 where it can not be switched off',
    yaml: service('connectTimeout: ¦0s'),
    faults: [['services[0].connectTimeout', 'above 0', "it can't be switched off"]],
  },
  {
    name: 'text that YAML reads as a number',
    yaml: match('headers: [{ name: x-v, value: ¦1.10 }]'),
    faults: [['matches[0].headers[0].value', 'text', 'quote it: "1.1"']],
  },
  {
    name: 'a limit of 2^32 - 1, as Istio ships it',
    yaml: service('circuitBreaker: { maxRequests: ¦4294967295 }'),
    faults: [['circuitBreaker.maxRequests', 'from 1 to 2147483647', 'write 2147483647']],
  },
  {
    name: 'a policy that is misspelt',
    yaml: service('loadBalancer: { policy: ¦peak_ewma }'),
    faults: [['loadBalancer.policy', 'one of least-request', 'peak-ewma']],
  },
  {
    name: 'consistent hashing of nothing',
    yaml: service('loadBalancer: ¦{ policy: maglev }'),
    faults: [['services[0].loadBalancer', 'consistentHash beside policy: maglev', 'httpHeaderName']],
  },
  {
    name: 'a key that nobody looks at',
    yaml: service('loadBalancer: { policy: ¦random, consistentHash: { useSourceIp: true } }'),
    faults: [['loadBalancer.policy', 'ring-hash or maglev', 'policy: maglev']],
  },
  {
    name: 'two keys',
    yaml: service(
      'loadBalancer: { policy: maglev, consistentHash: ¦{ useSourceIp: true, httpHeaderName: x } }',
    ),
    faults: [['loadBalancer.consistentHash', 'one of httpHeaderName', 'keep one']],
  },
  {
    name: 'a table that is no prime number',
    yaml: service(
      'loadBalancer: { policy: maglev, consistentHash: { useSourceIp: true, tableSize: ¦65536 } }',
    ),
    faults: [['consistentHash.tableSize', 'a prime number', 'the next prime is 65537']],
  },
  {
    name: 'a bound that leaves no room',
    yaml: service(
      'loadBalancer: { policy: maglev, consistentHash: { useSourceIp: true, hashBalanceFactor: ¦80 } }',
    ),
    faults: [['consistentHash.hashBalanceFactor', '0, or a whole number from 100', '150']],
  },
  {
    name: 'a key of requests for bytes',
    yaml: `listeners: [{ name: web, address: ":80", protocol: tcp }]
tcpRoutes: [{ name: r, backendRefs: [{ name: s }] }]
services:
  - name: s
    protocol: tcp
    endpoints: [{ address: 1.2.3.4:80 }]
    loadBalancer: { policy: maglev, consistentHash: ¦{ httpHeaderName: x } }
`,
    faults: [['loadBalancer.consistentHash', 'useSourceIp', 'bytes have no headers']],
  },
  {
    name: 'hedging that never begins',
    yaml: rule('hedging: ¦{}'),
    faults: [['rules[0].hedging', 'onPerTryTimeout: true, latencyPercentile', 'say when']],
  },
  {
    name: 'a percentile that nothing is above',
    yaml: rule('hedging: { latencyPercentile: ¦100 }'),
    faults: [['hedging.latencyPercentile', 'below 100', 'above 95']],
  },
  {
    name: 'hedging on a timeout that there is not',
    yaml: rule('hedging: { onPerTryTimeout: ¦true }'),
    faults: [['hedging.onPerTryTimeout', 'timeouts.backendRequest', 'state both']],
  },
  {
    name: 'a fault that does nothing',
    yaml: rule('fault: ¦{}'),
    faults: [['rules[0].fault', 'delay, abort or responseRateLimit', 'fixedDelay']],
  },
  {
    name: 'a delay longer than anybody waits',
    yaml: rule('fault: { delay: { fixedDelay: ¦1h } }'),
    faults: [['fault.delay.fixedDelay', 'duration', '']],
  },
  {
    name: 'a percentage in quotes without its sign',
    yaml: service('panicThreshold: ¦"20"'),
    faults: [['services[0].panicThreshold', 'a percentage', 'write 20%']],
  },
  {
    name: 'an alternative that got further than the other',
    yaml: service('retryBudget: { percent: ¦120 }'),
    faults: [['services[0].retryBudget.percent', 'a percentage from 0 to 100', '']],
  },
  {
    name: 'no alternative at all',
    yaml: service('retryBudget: ¦no'),
    faults: [['services[0].retryBudget', 'off, or a mapping', '']],
  },
  {
    name: 'every kind of hostname that is none',
    yaml: rule('').replace(
      '    rules',
      '    hostnames: [¦"a.b:80", ¦"*", ¦"a*.b", ¦"http://a/", ¦"a_b.c", ¦"a.b."]\n    rules',
    ),
    faults: [
      ['hostnames[0]', 'a host name', 'leave the port out'],
      ['hostnames[1]', 'a host name', 'leave hostnames out'],
      ['hostnames[2]', 'a host name', 'whole labels'],
      ['hostnames[3]', 'a host name', 'without scheme'],
      ['hostnames[4]', 'a host name', 'RFC 1123'],
      ['hostnames[5]', 'a host name', 'dot at the end'],
    ],
  },
  {
    name: 'a method in lower case, and CONNECT',
    yaml: rule('matches: [{ method: ¦get }, { method: ¦CONNECT }]'),
    faults: [
      ['matches[0].method', 'a method', 'case-sensitive: GET'],
      ['matches[1].method', 'a method', 'not supported yet'],
    ],
  },
  // Meaning.
  {
    name: 'names used twice',
    yaml: 'listeners:\n  - { name: web, address: ":1" }\n  - { name: ¦web, address: ":2" }\nroutes: [{ name: r, rules: [{ filters: [{ type: DirectResponse, directResponse: { statusCode: 200 } }] }] }]\n',
    faults: [['listeners[1].name', 'a name that is used once', 'rename one']],
  },
  {
    name: 'an address used twice, and by the management server',
    yaml: '¦listeners:\n  - { name: a, address: ":1" }\n  - { name: b, address: ¦":1" }\n  - { name: c, address: 127.0.0.1:15000 }\nroutes: [{ name: r, rules: [{ filters: [{ type: DirectResponse, directResponse: { statusCode: 200 } }] }] }]\n',
    faults: [
      ['admin.address', 'an address of its own', 'another port'],
      ['listeners[1].address', 'an address of its own', 'another port'],
    ],
  },
  {
    name: 'references that dangle',
    yaml: `${LISTENER}services: [{ name: cart, endpoints: [{ address: 1.2.3.4:80 }] }]\nroutes:\n  - name: r\n    parentRefs: [{ sectionName: ¦wbe }]\n    rules: [{ backendRefs: [{ name: ¦crat }, { name: ¦stock }] }]\n`,
    faults: [
      ['parentRefs[0].sectionName', 'the name of a listener', 'did you mean web?'],
      ['backendRefs[0].name', 'the name of a service', 'did you mean cart?'],
      ['backendRefs[1].name', 'the name of a service', 'services are cart'],
    ],
  },
  {
    name: 'an attempt that may take longer than the request',
    yaml: rule('timeouts: { request: 1s, backendRequest: ¦2s }'),
    faults: [['timeouts.backendRequest', 'at most timeouts.request, 1000ms', 'raise request']],
  },
  {
    name: 'header modifiers that touch Host or framing',
    yaml: rule(
      'filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: ¦Host, value: a }], remove: [¦Content-Length, ¦connection] } }]',
    ),
    faults: [
      ['set[0].name', 'a header that a filter may change', 'URLRewrite'],
      ['remove[0]', 'a header that a filter may change', 'frames'],
      ['remove[1]', 'a header that a filter may change', 'one connection'],
    ],
  },
  {
    name: 'a filter without its field, and with the field of another',
    yaml: rule('filters: [¦{ type: URLRewrite, requestHeaderModifier: ¦{ remove: [x] } }]'),
    faults: [
      ['filters[0]', 'urlRewrite beside type: URLRewrite', 'add urlRewrite'],
      ['filters[0].requestHeaderModifier', 'urlRewrite only', 'a filter of its own'],
    ],
  },
  {
    name: 'a redirect beside backends',
    yaml: rule('filters: [{ type: RequestRedirect, requestRedirect: { scheme: https } }]').replace(
      /\[(?=\{ name: s \}\])/,
      '¦[',
    ),
    faults: [['rules[0].backendRefs', 'no backendRefs beside', 'the filter answers']],
  },
  {
    name: 'ReplacePrefixMatch without a prefix to match',
    yaml: rule(
      'matches: [{ path: { type: Exact, value: /a } }], filters: [{ type: URLRewrite, urlRewrite: { path: { type: ¦ReplacePrefixMatch, replacePrefixMatch: / } } }]',
    ),
    faults: [['urlRewrite.path.type', 'a PathPrefix in every match', 'ReplaceFullPath']],
  },
  ...(
    [
      ['a(?=b)', 'lookahead', 'several matches'],
      ['(?<!a)b', 'lookbehind', 'several matches'],
      ['(a)\\1', 'backreferences', 'alternatives'],
      ['a++', 'possessive', 'nothing backtracks'],
      ['(x{1000}){1000}', 'repeat counts', 'bound the length'],
      ['(a?){999}(b?){999}', 'at most 2000 instructions', 'lower its repeat counts'],
      ['[a', 'missing closing ]', 're2'],
    ] as const
  ).map(
    ([pattern, expected, cure]): FaultCase => ({
      name: `the regular expression ${pattern}`,
      yaml: path('RegularExpression', pattern),
      faults: [['matches[0].path.value', expected, cure]],
    }),
  ),
  ...(
    [
      ['cart', 'write /cart'],
      ['/a?b=1', 'queryParams'],
      ['/a/*', 'needs no "*"'],
      ['/a//b', 'single slashes'],
      ['/a/../b', '".."'],
      ['/a%2Fb', 'RegularExpression'],
      ['/a b', 'percent-encode'],
      ['/a#b', 'fragment'],
    ] as const
  ).map(
    ([value, cure]): FaultCase => ({
      name: `the path ${value}`,
      yaml: path('PathPrefix', value),
      faults: [['matches[0].path.value', 'a normalised path', cure]],
    }),
  ),
  {
    name: 'endpoints and dns together, and neither',
    yaml: `${service('dns: ¦"s:80"')}  - ¦name: t\n`,
    faults: [
      ['services[0].dns', 'endpoints or dns', 'remove one'],
      ['services[1]', 'endpoints or dns', 'add endpoints'],
    ],
  },
  {
    name: 'a name where an address belongs',
    yaml: `${service('').replace('1.2.3.4:80', '¦cart:80')}`,
    faults: [['endpoints[0].address', 'an IP address and port', 'write dns: cart:80']],
  },
  {
    name: 'an address twice',
    yaml: service('').replace('1.2.3.4:80 }]', '1.2.3.4:80 }, { address: ¦1.2.3.4:80, weight: 2 }]'),
    faults: [['endpoints[1].address', 'each address once', 'use weight']],
  },
  {
    name: 'TLS to endpoints with nothing to verify',
    yaml: service('tls: ¦¦{ caFile: ca.pem, certFile: c.pem }'),
    faults: [
      ['services[0].tls', 'sni or subjectAltNames', 'sni: cart.shop'],
      ['services[0].tls', 'certFile and keyFile together', 'needs its key'],
    ],
  },
  {
    name: 'a certificate with two keys',
    yaml: service('tls: { sni: a.b, certFile: web.pem, keyFile: ¦other.key }').replace(
      '":8080"',
      '":8080", tls: { certificates: [{ certFile: ./web.pem, keyFile: web.key }] }',
    ),
    faults: [['services[0].tls.keyFile', '/etc/outboard/web.key', 'one key']],
  },
  {
    name: 'client certificates without a bundle to verify them',
    yaml: `listeners:\n  - { name: web, address: ":1", tls: { certificates: [{ certFile: a, keyFile: b }], clientAuth: ¦require } }\nroutes: [{ name: r, rules: [{ filters: [{ type: DirectResponse, directResponse: { statusCode: 200 } }] }] }]\n`,
    faults: [['tls.clientAuth', 'clientCaFile beside clientAuth: require', 'PEM bundle']],
  },
];

tellsFaults(CASES);

const WARNINGS: readonly WarningCase[] = [
  [
    'weights that are all 0',
    rule('').replace('[{ name: s }]', '[{ name: s, weight: 0 }]'),
    'backendRefs',
    'a weight above 0',
  ],
  ['no routes', LISTENER, 'routes', 'at least one route'],
  [
    'a rule without backends',
    `${LISTENER}routes: [{ name: r, rules: [{}] }]\n`,
    'backendRefs',
    'at least one backend',
  ],
  [
    'maxRetries beside a budget',
    service('circuitBreaker: { maxRetries: 9 }'),
    'maxRetries',
    'retryBudget: off',
  ],
  [
    'a count floor that covers all endpoints',
    service('outlierDetection: { maxEjectionCount: 2 }'),
    'maxEjectionCount',
    'fewer than the 1 endpoints',
  ],
  [
    'a health check slower than its interval',
    service('healthCheck: { timeout: 9s }'),
    'timeout',
    'at most interval',
  ],
  ['codes forgotten', rule('retry: { retryOn: [retriable-status-codes] }'), 'retryOn', 'codes beside'],
  [
    'many attempts without a budget',
    rule('retry: { attempts: 9 }').replace('80 }] }', '80 }], retryBudget: off }'),
    'attempts',
    'at most 3',
  ],
  ['an admin address open to all', `${rule('')}admin: { address: ":15000" }\n`, 'admin.address', 'loopback'],
];

tellsWarnings(WARNINGS);
