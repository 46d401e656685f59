/** The PROXY protocol's header: what is one, what it says, and that what is written is read the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../src/base/index.ts';
import { type ProxiedAddresses, readProxyHeader, writeProxyHeader } from '../../src/message/index.ts';

const V2 = '0d0a0d0a000d0a515549540a';
const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

const IPV4: ProxiedAddresses = {
  remoteAddress: '203.0.113.7',
  remotePort: 56_324,
  localAddress: '192.0.2.1',
  localPort: 443,
};
const IPV6: ProxiedAddresses = {
  remoteAddress: '2001:db8::7',
  remotePort: 1,
  localAddress: '::1',
  localPort: 65_535,
};

const WHOLE: readonly (readonly [text: string | Buffer, addresses: ProxiedAddresses | null])[] = [
  ['PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n', IPV4],
  ['PROXY TCP6 2001:DB8::7 ::1 1 65535\r\n', IPV6],
  ['PROXY UNKNOWN\r\n', null],
  ['PROXY UNKNOWN ffff:f...f:ffff whatever 0\r\n', null],
  [bytes(`${V2} 21 11 000c cb007107 c0000201 dc04 01bb`), IPV4],
  [
    bytes(`${V2} 21 21 0024 20010db8000000000000000000000007 00000000000000000000000000000001 0001 ffff`),
    IPV6,
  ],
  [bytes(`${V2} 20 00 0000`), null],
  [bytes(`${V2} 20 11 000c cb007107 c0000201 dc04 01bb`), null],
  [bytes(`${V2} 21 00 0005 0102030405`), null],
  // A TLV of type PP2_TYPE_AUTHORITY, and a broken one: not looked at.
  [bytes(`${V2} 21 11 0017 cb007107 c0000201 dc04 01bb 020003612e62 04ffff0102`), IPV4],
];

test('a whole header: its addresses, its length, whatever follows', () => {
  for (const [written, addresses] of WHOLE) {
    const header = typeof written === 'string' ? Buffer.from(written, 'latin1') : written;
    for (const rest of ['', 'GET / HTTP/1.1\r\n']) {
      const read = readProxyHeader(Buffer.concat([header, Buffer.from(rest)]));
      assert.ok(read.state === 'whole', `${header.toString('latin1')}: ${JSON.stringify(read)}`);
      assert.deepEqual([read.length, read.addresses], [header.length, addresses]);
      assert.equal(read.version, typeof written === 'string' ? 'v1' : 'v2');
    }
  }
});

test('part of one asks for more, wherever it is cut', () => {
  for (const [written] of WHOLE) {
    const header = typeof written === 'string' ? Buffer.from(written, 'latin1') : written;
    for (let end = 1; end < header.length; end++)
      assert.equal(readProxyHeader(header.subarray(0, end)).state, 'more', `${end} of ${header.length}`);
  }
});

test('what is no header is left alone', () => {
  for (const text of [
    'GET / HTTP/1.1',
    'PROXX',
    'PRI * HTTP/2.0\r\n',
    'proxy TCP4',
    '\x16\x03\x01',
    '\r\nGET',
    '\r\n\r\n\0\r\nQUIT\r',
  ])
    assert.equal(readProxyHeader(Buffer.from(text, 'latin1')).state, 'none', text);
});

test('a broken one says what is wrong with it', () => {
  const line = (text: string): string => `PROXY ${text}\r\n`;
  for (const [written, why] of [
    [line('TCP4 203.0.113.7 192.0.2.1 56324'), /two addresses/],
    [line('TCP4  203.0.113.7 192.0.2.1 56324 443'), /one space/],
    [line('TCP4 203.0.113.7 192.0.2.1 56324 443 '), /two addresses/],
    [line('TCP4 203.0.113.07 192.0.2.1 56324 443'), /TCP4 addresses/],
    [line('TCP4 2001:db8::7 ::1 1 2'), /TCP4 addresses/],
    [line('TCP6 203.0.113.7 192.0.2.1 1 2'), /TCP6 addresses/],
    [line('TCP4 203.0.113.7 192.0.2.1 056324 443'), /ports/],
    [line('TCP4 203.0.113.7 192.0.2.1 65536 443'), /ports/],
    [line('TCP4 203.0.113.7 192.0.2.1 -1 443'), /ports/],
    [line('UDP4 203.0.113.7 192.0.2.1 1 443'), /TCP4, TCP6 or UNKNOWN/],
    ['PROXY TCP4 203.0.113.7 192.0.2.1 1 2\rX', /CR without LF/],
    [`PROXY UNKNOWN ${'x'.repeat(100)}`, /within 107/],
    [bytes(`${V2} 31 11 000c cb007107 c0000201 dc04 01bb`), /0x31/],
    [bytes(`${V2} 22 11 000c cb007107 c0000201 dc04 01bb`), /0x22/],
    [bytes(`${V2} 21 12 000c cb007107 c0000201 dc04 01bb`), /0x12/],
    [bytes(`${V2} 21 11 000b cb007107 c0000201 dc04 01`), /11 bytes of 12/],
    [bytes(`${V2} 21 21 0010 ${'00'.repeat(16)}`), /16 bytes of 36/],
    [bytes(`${V2} 21 11 ffff`), new RegExp(`above ${LIMITS.proxyHeaderBytes}`)],
  ] as const) {
    const read = readProxyHeader(typeof written === 'string' ? Buffer.from(written, 'latin1') : written);
    assert.ok(read.state === 'broken', JSON.stringify([String(written), read]));
    assert.match(read.why, why);
  }
});

test('the longest line of version 1 is 107 bytes', () => {
  const longest = `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`;
  assert.equal(longest.length, 107);
  assert.equal(readProxyHeader(Buffer.from(longest)).state, 'whole');
  assert.equal(readProxyHeader(Buffer.from(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)).state, 'broken');
});

test('what is written is read the same; both ends get one family', () => {
  for (const version of ['v1', 'v2'] as const) {
    for (const addresses of [IPV4, IPV6, null]) {
      const read = readProxyHeader(writeProxyHeader(version, addresses));
      assert.ok(read.state === 'whole');
      assert.deepEqual([read.addresses, read.version], [addresses, version]);
    }
    const mapped = writeProxyHeader(version, { ...IPV4, remoteAddress: '::ffff:203.0.113.7' });
    assert.deepEqual(mapped, writeProxyHeader(version, IPV4));
    const mixed = readProxyHeader(writeProxyHeader(version, { ...IPV4, localAddress: '::1' }));
    assert.ok(mixed.state === 'whole');
    assert.equal(mixed.addresses?.remoteAddress, '203.0.113.7');
  }
});
