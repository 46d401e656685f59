import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import { addForwardedHeaders, addVia, clientAddress } from '../../src/dataplane/policy/index.ts';
import { isIpAddress } from '../../src/dataplane/policy/ip-address.ts';
import {
  type ConnectionFacts,
  HeaderList,
  type RequestHead,
  type TlsFacts,
} from '../../src/message/index.ts';

const TLS: TlsFacts = {
  protocol: 'TLSv1.3',
  cipher: 'c',
  sni: 's',
  alpn: 'http/1.1',
  resumed: false,
  peer: null,
};

function facts(changes: Partial<ConnectionFacts> = {}): ConnectionFacts {
  return {
    listener: 'web',
    remoteAddress: '10.0.0.9',
    remotePort: 5_000,
    localAddress: '10.0.0.1',
    caller: -1,
    localPort: 8_080,
    tls: null,
    ...changes,
  };
}

function forwarded(
  trustedHops: number,
  connection: ConnectionFacts,
  host: string,
  ...headers: string[]
): string[] {
  const head: RequestHead = {
    method: 'GET',
    target: '/',
    authority: host,
    scheme: 'http',
    version: '1.1',
    headers: HeaderList.of(...headers),
    body: 'none',
    contentLength: -1,
    expectContinue: false,
    upgrade: '',
  };
  addForwardedHeaders(head, connection, trustedHops);
  return head.headers.toText().trimEnd().split('\r\n');
}

/** X-Forwarded-For fields, trusted hops, client. The peer is 10.0.0.9. */
const CLIENTS: readonly (readonly [readonly string[], number, string])[] = [
  [[], 0, '10.0.0.9'],
  [['203.0.113.1'], 0, '10.0.0.9'],
  [[], 1, '10.0.0.9'],
  [['203.0.113.1'], 1, '203.0.113.1'],
  [['198.51.100.7, 203.0.113.1'], 1, '203.0.113.1'],
  [['198.51.100.7, 203.0.113.1'], 2, '198.51.100.7'],
  [['198.51.100.7,203.0.113.1'], 3, '10.0.0.9'],
  [['198.51.100.7', '203.0.113.1'], 2, '198.51.100.7'],
  [['spoofed, 203.0.113.1'], 2, '10.0.0.9'],
  [['203.0.113.1:4711'], 1, '10.0.0.9'],
  [['203.0.113.1, '], 1, '10.0.0.9'],
  [['2001:db8::1'], 1, '2001:db8::1'],
  [[','], 2, '10.0.0.9'],
];

for (const [fields, hops, client] of CLIENTS) {
  test(`${JSON.stringify(fields)} with ${hops} trusted hops comes from ${client}`, () => {
    const headers = HeaderList.of(...fields.flatMap((field) => ['X-Forwarded-For', field]));
    assert.equal(clientAddress(headers, facts(), hops), client);
  });
}

test('an IPv4 peer on a socket of both families is an IPv4 address', () => {
  assert.equal(clientAddress(HeaderList.empty(), facts({ remoteAddress: '::ffff:10.1.2.3' }), 0), '10.1.2.3');
  assert.equal(clientAddress(HeaderList.empty(), facts({ remoteAddress: '::1' }), 0), '::1');
});

test('a request without the headers gets them', () => {
  assert.deepEqual(forwarded(0, facts(), 'shop:8080'), [
    'x-forwarded-for: 10.0.0.9',
    'x-forwarded-proto: http',
    'x-forwarded-host: shop:8080',
    'x-forwarded-port: 8080',
  ]);
  assert.deepEqual(forwarded(0, facts({ tls: TLS, localPort: 8_443 }), ''), [
    'x-forwarded-for: 10.0.0.9',
    'x-forwarded-proto: https',
    'x-forwarded-port: 8443',
  ]);
});

const SPOOFED = [
  ...['X-Forwarded-For', '1.1.1.1', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'evil'],
  ...['X-Forwarded-Port', '443', 'X-Forwarded-Client-Cert', 'Subject="CN=admin"'],
];

test('without trusted hops a peer is believed nothing, but its x-forwarded-for is kept to the left', () => {
  assert.deepEqual(forwarded(0, facts(), 'shop', ...SPOOFED), [
    'x-forwarded-for: 1.1.1.1, 10.0.0.9',
    'x-forwarded-proto: http',
    'x-forwarded-host: shop',
    'x-forwarded-port: 8080',
  ]);
  assert.deepEqual(
    forwarded(0, facts(), '', ...SPOOFED).filter((line) => line.includes('host')),
    [],
  );
});

test('behind a trusted hop its word stands', () => {
  assert.deepEqual(forwarded(1, facts(), 'shop', ...SPOOFED), [
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: evil',
    'X-Forwarded-Port: 443',
    'X-Forwarded-Client-Cert: Subject="CN=admin"',
    'x-forwarded-for: 1.1.1.1, 10.0.0.9',
  ]);
  assert.ok(
    forwarded(1, facts(), 'shop', 'X-Forwarded-Proto', 'javascript').includes('x-forwarded-proto: http'),
  );
});

test('several x-forwarded-for fields become one', () => {
  const lines = forwarded(0, facts(), 'shop', 'X-Forwarded-For', 'a', 'x-forwarded-for', 'b, c');
  assert.ok(lines.includes('x-forwarded-for: a, b, c, 10.0.0.9'));
});

test('a verified client certificate is told, and replaces what the client says of one', () => {
  const peer = {
    subject: 'CN="web"\nO=shop',
    uriSans: ['spiffe://shop/ns/a/sa/web', 'spiffe://x;y'],
    dnsSans: ['web.shop'],
    serial: '01',
    fingerprint256: 'AB:CD',
  };
  const lines = forwarded(0, facts({ tls: { ...TLS, peer } }), 'shop', ...SPOOFED);
  assert.deepEqual(
    lines.filter((line) => line.includes('client-cert')),
    [
      'x-forwarded-client-cert: Hash=abcd;Subject="CN=\\"web\\" O=shop";URI=spiffe://shop/ns/a/sa/web;URI="spiffe://x;y";DNS=web.shop',
    ],
  );
});

test('via names the version received, after the proxies before', () => {
  const headers = HeaderList.empty();
  addVia(headers, '1.1');
  assert.equal(headers.toText(), 'via: 1.1 outboard\r\n');
  const passed = HeaderList.of('Via', '1.0 fred', 'via', '1.1 nowhere.com');
  addVia(passed, '1.0');
  assert.equal(passed.toText(), 'via: 1.0 fred, 1.1 nowhere.com, 1.0 outboard\r\n');
});

test('addresses are told apart as node:net does', () => {
  const texts = [
    ...[
      '1.2.3.4',
      '255.255.255.255',
      '256.1.1.1',
      '1.2.3',
      '1.2.3.4.5',
      '01.2.3.4',
      '1.2.3.4 ',
      '0.0.0.0',
      '',
    ],
    ...[
      '::',
      '::1',
      '1::',
      '2001:db8::1',
      '1:2:3:4:5:6:7:8',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '1::2::3',
    ],
    ...[
      '::ffff:1.2.3.4',
      '1:2:3:4:5:6:1.2.3.4',
      '1:2:3:4:5:6:7:1.2.3.4',
      '::1.2.3',
      '12345::',
      'g::',
      ':::',
      ':1',
      '1:',
    ],
    ...[
      '1.2.3.4::',
      '[::1]',
      '::1:',
      'localhost',
      '1:2:3:4:5:6:7::',
      '::2:3:4:5:6:7:8',
      '1::3:4:5:6:7:8',
      '1:2:3:4::5:6:7:8',
    ],
  ];
  for (const text of texts) assert.equal(isIpAddress(text), isIPv4(text) || isIPv6(text), text);
});
