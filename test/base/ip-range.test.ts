/** Ranges of addresses: which text is one, and which addresses are in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inRange, ipv4Text, ipv6Text, networkOf, parseAddress, parseIpRange } from '../../src/base/index.ts';

const CASES: readonly (readonly [range: string, inside: readonly string[], outside: readonly string[]])[] = [
  [
    '10.0.0.0/8',
    ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3'],
    ['11.0.0.0', '9.255.255.255', '::10.1.2.3'],
  ],
  ['0.0.0.0/0', ['1.2.3.4', '255.255.255.255'], ['::1', 'fd00::1']],
  ['::/0', ['::1', 'fd00::1', '1.2.3.4'], []],
  ['192.168.4.0/23', ['192.168.5.255'], ['192.168.6.0', '192.168.3.255']],
  ['127.0.0.1', ['127.0.0.1'], ['127.0.0.2']],
  ['::1', ['::1', '0:0:0:0:0:0:0:1'], ['::2', '1::1']],
  ['fd00::/8', ['fd00::', 'fdff:ffff::1'], ['fe00::', 'fc00::']],
  ['2001:db8:1:2::/64', ['2001:db8:1:2::', '2001:DB8:1:2:ffff::9'], ['2001:db8:1:3::']],
  ['2001:db8::4/127', ['2001:db8::4', '2001:db8::5'], ['2001:db8::6']],
  ['128.0.0.0/1', ['255.0.0.1', '128.0.0.0'], ['127.255.255.255']],
];

test('an address is in a range or not, in whatever form either is written', () => {
  for (const [text, inside, outside] of CASES) {
    const range = parseIpRange(text);
    assert.ok(range, text);
    for (const [list, expected] of [
      [inside, true],
      [outside, false],
    ] as const) {
      for (const address of list) {
        const words = parseAddress(address);
        assert.ok(words, address);
        assert.equal(inRange(words, range), expected, `${address} in ${text}`);
      }
    }
  }
});

test('what is no range is none', () => {
  const none =
    '10.0.0.1/8 10.0.0.0/33 10.0.0.0/ 10.0.0.0/08 10.0.0/8 10.0.0.0.0 fd00::1/8 ::/129 ::1::2 1:2:3:4:5:6:7 :: /8 1.2.3.256 fe80::1%eth0 a'.split(
      / (?!\/)/,
    );
  for (const text of [...none, '', '/', '::g', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', `${'0'.repeat(60)}`])
    assert.equal(parseIpRange(text), null, text);
});

test('a range is told its first address', () => {
  assert.equal(networkOf('10.1.2.3/8'), '10.0.0.0/8');
  assert.equal(networkOf('fd00:1::2/16'), 'fd00::/16');
  assert.equal(networkOf('10.1.2.3'), null);
});

test('addresses are written as RFC 5952 has them, and read again', () => {
  for (const text of [
    '::',
    '::1',
    '2001:db8::1:0:0:1',
    '1:2:3:4:5:6:7:8',
    '2001:db8:0:1:1:1:1:1',
    'fd00::',
  ]) {
    const words = parseAddress(text);
    assert.ok(words);
    assert.equal(ipv6Text(words), text);
  }
  assert.equal(ipv4Text(parseAddress('203.0.113.255')?.[3] ?? 0), '203.0.113.255');
});
