import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFault } from '../../src/config/load/index.ts';
import { faultsOf } from './kit.ts';

const LISTENER = 'listeners: [{ name: web, address: ":8080" }]\n';
const service = (fields: string) =>
  `${LISTENER}routes: [{ name: r, rules: [{ backendRefs: [{ name: s }] }] }]\nservices:\n  - { name: s, endpoints: [{ address: 1.2.3.4:80 }], ${fields} }\n`;

test('lists faults of syntax-free files all at once, in the order of the file, whatever layer finds them', () => {
  const found = faultsOf(
    [
      'listeners:',
      '  - { name: web, address: ":80", protocol: http3 }',
      'routes:',
      '  - name: r',
      '    rules:',
      '      - matches: [{ path: { type: RegularExpression, value: "(?=a)" } }, { method: 7 }]',
      '        backendRefs: [{ name: nobody }, { name: s, weight: -1 }]',
      'services:',
      '  - name: s',
      '    conectTimeout: 1s',
      '  - name: s',
      '    endpoints: []',
    ].join('\n'),
  );
  assert.deepEqual(
    found.map((fault) => `${fault.line} ${fault.severity} ${fault.path}`),
    [
      '2 error listeners[0].protocol',
      '6 error routes[0].rules[0].matches[0].path.value',
      '6 error routes[0].rules[0].matches[1].method',
      '7 error routes[0].rules[0].backendRefs[0].name',
      '7 error routes[0].rules[0].backendRefs[1].weight',
      '10 error services[0].conectTimeout',
      '11 error services[1].name',
      '12 warning services[1].endpoints',
    ],
    found.map(formatFault).join('\n'),
  );
});

test('a member that has faults is no reason for others to dangle', () => {
  const found = faultsOf(
    `${LISTENER}services: [{ name: s, endpoints: [{ address: nowhere }] }]\nroutes: [{ name: r, rules: [{ backendRefs: [{ name: s }] }] }]\n`,
  );
  assert.deepEqual(
    found.map((fault) => fault.path),
    ['services[0].endpoints[0].address'],
  );
});

test('places are those of the file after something in front was left out', () => {
  const found = faultsOf(
    `${LISTENER}services:\n  - { name: 5 }\n  - { name: ok, endpoints: [{ address: bad }, { address: 1.1.1.1:80 }, { address: 1.1.1.1:80 }] }\nroutes: [{ name: r, rules: [{ backendRefs: [{ name: ok }] }] }]\n`,
  );
  assert.deepEqual(
    found.map((fault) => fault.path),
    ['services[0].name', 'services[1].endpoints[0].address', 'services[1].endpoints[2].address'],
  );
});

test('a file with thousands of faults is told in bounded length', () => {
  const found = faultsOf(`${LISTENER}services:\n${'  - { nam: x }\n'.repeat(2000)}`);
  assert.equal(found.length, 501);
  assert.match(found.at(-1)?.found ?? '', /^\d+ more$/);
});

test('files that are named and missing are told with the path that was looked for', () => {
  const yaml = `listeners:\n  - { name: web, address: ":1", tls: { certificates: [{ certFile: tls/web.pem, keyFile: /k.pem }] } }\n`;
  const found = faultsOf(yaml, { fileReadable: () => false }).filter((fault) => fault.severity === 'error');
  assert.deepEqual(
    found.map((fault) => [fault.path, fault.cure]),
    [
      [
        'listeners[0].tls.certificates[0].certFile',
        'looked for /etc/outboard/tls/web.pem; paths start from the configuration file',
      ],
      ['listeners[0].tls.certificates[0].keyFile', 'create it, or correct the path'],
    ],
  );
});

test('a fault is one line with a place that editors link, and its cure', () => {
  const [fault] = faultsOf(service('connectTimeout: 10'));
  assert.ok(fault);
  assert.equal(
    formatFault(fault),
    'c.yaml:4:70: error: services[0].connectTimeout: expected a duration such as 250ms, 10s or 1m30s, above 0, found 10\n    cure: add a unit: 10s or 10ms',
  );
});
