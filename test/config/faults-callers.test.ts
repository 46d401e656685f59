/** Faults in what concerns callers: whom a listener trusts, and which pages may read a rule's answers. */
import { type FaultCase, tellsFaults, tellsWarnings, type WarningCase } from './fault-cases.ts';

const listener = (fields: string) =>
  `listeners:\n  - { name: web, address: ":8080", ${fields} }\nroutes: [{ name: r, rules: [{ filters: [{ type: DirectResponse, directResponse: { statusCode: 200 } }] }] }]\n`;
const cors = (fields: string, matches = '{}') =>
  `listeners: [{ name: web, address: ":8080" }]\nservices: [{ name: s, endpoints: [{ address: 1.2.3.4:80 }] }]\nroutes:\n  - name: r\n    rules:\n      - { backendRefs: [{ name: s }], matches: [${matches}], filters: [{ type: CORS, cors: ${fields} }] }\n`;
const rule = (fields: string) =>
  `listeners: [{ name: web, address: ":8080" }]\nservices: [{ name: s, endpoints: [{ address: 1.2.3.4:80 }] }]\nroutes:\n  - name: r\n    rules:\n      - { backendRefs: [{ name: s }], ${fields} }\n`;

const CASES: readonly FaultCase[] = [
  {
    name: 'a range that does not begin where it is written',
    yaml: listener('trustedCallers: [¦10.1.2.3/8]'),
    faults: [['trustedCallers[0]', 'a range of addresses', '10.0.0.0/8']],
  },
  {
    name: 'a range from here to there',
    yaml: listener('trustedCallers: [¦10.0.0.0-10.0.0.9]'),
    faults: [['trustedCallers[0]', 'a range of addresses', 'ADDRESS/BITS']],
  },
  {
    name: 'a caller with a port',
    yaml: listener('trustedCallers: [¦"10.0.0.1:80"]'),
    faults: [['trustedCallers[0]', 'a range of addresses', 'leave the port out']],
  },
  {
    name: "Envoy's words for trusted callers",
    yaml: listener('¦internal_address_config: {}'),
    faults: [['internal_address_config', 'one of the keys', 'use trustedCallers']],
  },
  {
    name: 'an origin with a path',
    yaml: cors('{ allowOrigins: [¦"https://shop.example/cart"] }'),
    faults: [['allowOrigins[0]', 'an origin', 'leave the path out']],
  },
  {
    name: 'an origin without a scheme',
    yaml: cors('{ allowOrigins: [¦shop.example] }'),
    faults: [['allowOrigins[0]', 'an origin', 'https://shop.example']],
  },
  {
    name: 'a wildcard in the middle',
    yaml: cors('{ allowOrigins: [¦"https://shop.*.example"] }'),
    faults: [['allowOrigins[0]', 'an origin', 'in front of the host']],
  },
  {
    name: 'the origin of sandboxed pages',
    yaml: cors('{ allowOrigins: [¦"null"] }'),
    faults: [['allowOrigins[0]', 'an origin', 'sandboxed']],
  },
  {
    name: 'every origin, and some',
    yaml: cors('{ allowOrigins: ¦["*", "https://shop.example"] }'),
    faults: [['allowOrigins', '"*" alone', 'remove the names']],
  },
  {
    name: 'every header with credentials, which browsers take for a name',
    yaml: cors('{ allowOrigins: ["https://a.b"], allowCredentials: true, exposeHeaders: ¦["*"] }'),
    faults: [['exposeHeaders', 'names beside allowCredentials', 'list the headers']],
  },
  {
    name: 'a delay without a length',
    yaml: rule('fault: { delay: ¦{ percentage: 5 } }'),
    faults: [['fault.delay', 'fixedDelay or headerDelay: true', 'add fixedDelay']],
  },
  {
    name: 'a rate that is stated, and left to requests',
    yaml: rule('fault: { responseRateLimit: ¦{ limitKbps: 5, headerLimit: true } }'),
    faults: [['fault.responseRateLimit', 'limitKbps or headerLimit: true', 'keep one']],
  },
  {
    name: 'a status that is stated, and left to requests',
    yaml: rule('fault: { abort: { httpStatus: 500, headerAbort: ¦true } }'),
    faults: [['fault.abort.headerAbort', 'no httpStatus', 'keep one']],
  },
];

const WARNINGS: readonly WarningCase[] = [
  ['nobody who may read', cors('{}'), 'allowOrigins', 'at least one origin'],
  [
    'credentials for every site',
    cors('{ allowOrigins: ["*"], allowCredentials: true }'),
    'allowOrigins',
    'origins beside',
  ],
  [
    'preflights that go elsewhere',
    cors('{ allowOrigins: ["*"] }', '{ method: PUT }'),
    'cors',
    'method: OPTIONS',
  ],
];

tellsFaults(CASES);
tellsWarnings(WARNINGS);
