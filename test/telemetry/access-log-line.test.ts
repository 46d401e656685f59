/** The access log line: its fields, and that nothing a client sends can break it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock, failure } from '../../src/base/index.ts';
import { accessLogLine } from '../../src/telemetry/access-log-line.ts';
import { answered, attempt, facts, mutualTls, seeded } from './kit.ts';

test('an answered request', () => {
  const line = accessLogLine(answered(new FakeClock()), '-');
  assert.equal(
    line,
    '{"start_time":"2023-11-14T22:13:21.000Z","method":"GET","path":"/items?limit=2","protocol":"HTTP/1.1",' +
      '"response_code":200,"response_flags":"-","response_code_details":"via_upstream",' +
      '"connection_termination_details":null,"upstream_transport_failure_reason":null,"bytes_received":7,' +
      '"bytes_sent":120,"duration":13,"upstream_service_time":10,"x_forwarded_for":null,"user_agent":"curl/8.0",' +
      '"request_id":"req-1","authority":"cart.shop:8443","upstream_host":"127.0.0.1:9001","upstream_cluster":"cart",' +
      '"route_name":"cart/0","attempts":1,"trace_id":null,"downstream_remote_address":"10.0.0.7:40000",' +
      '"listener":"web","downstream_local_address":"127.0.0.1:8443","requested_server_name":null,"downstream_tls_version":null,' +
      '"downstream_peer_uri_san":null,"downstream_peer_subject":null}\n',
  );
});

test('a failed request over mutual TLS', () => {
  const connection = facts({ remoteAddress: '2001:db8::7', tls: mutualTls('spiffe://mesh/ns/shop/sa/web') });
  const record = answered(new FakeClock(), {}, connection);
  record.status = 503;
  record.failure = failure('connect-refused', 'ECONNREFUSED 127.0.0.1:9001');
  record.responseStartMs = -1;
  record.forwardedFor = '192.0.2.1, 10.0.0.7';
  record.attempts.push(
    attempt(record, { endpoint: '127.0.0.1:9002', retryReason: 'connect-failure', choice: 'panic' }),
  );
  const line = JSON.parse(accessLogLine(record, 'UF,URX')) as Record<string, unknown>;
  assert.equal(line.response_flags, 'UF,URX');
  assert.equal(line.response_code_details, 'connect-refused');
  assert.equal(line.upstream_transport_failure_reason, 'ECONNREFUSED 127.0.0.1:9001');
  assert.equal(line.upstream_service_time, null);
  assert.equal(line.upstream_host, '127.0.0.1:9002');
  assert.equal(line.upstream_choice, 'panic');
  assert.equal(line.attempts, 2);
  assert.equal(line.x_forwarded_for, '192.0.2.1, 10.0.0.7');
  assert.equal(line.downstream_remote_address, '[2001:db8::7]:40000');
  assert.equal(line.requested_server_name, 'cart.shop');
  assert.equal(line.downstream_peer_uri_san, 'spiffe://mesh/ns/shop/sa/web');
  assert.equal(line.downstream_peer_subject, 'CN=web');
});

test('a request that was refused before it was read', () => {
  const record = answered(new FakeClock(), { service: '', rule: '', method: '', target: '', status: 400 });
  record.failure = failure('bad-request-line');
  const line = JSON.parse(accessLogLine(record, 'DPE')) as Record<string, unknown>;
  assert.equal(line.upstream_cluster, null);
  assert.equal(line.upstream_host, null);
  assert.equal(line.method, '');
  assert.equal(line.response_code_details, 'bad-request-line');
});

test('long texts are cut', () => {
  const record = answered(new FakeClock(), { target: `/${'x'.repeat(16_000)}` });
  const line = JSON.parse(accessLogLine(record, '-')) as Record<string, string>;
  assert.equal(line.path?.length, 1_024);
  assert.ok(line.path?.endsWith('…'));
});

test('whatever bytes a client sends, the line is one line of ASCII that JSON.parse reads back', () => {
  const seed = 20_231;
  const random = seeded(seed);
  const text = (): string => {
    let made = '';
    for (let i = Math.floor(random() * 40); i > 0; i--) {
      const kind = random();
      if (kind < 0.5) made += String.fromCharCode(Math.floor(random() * 256));
      else if (kind < 0.6) made += String.fromCharCode(Math.floor(random() * 65_536));
      else made += '"\\\n\r\t\0/{}\u2028\x7f\x9b'[Math.floor(random() * 13)];
    }
    return made;
  };
  for (let i = 0; i < 5_000; i++) {
    const sent = {
      method: text(),
      target: text(),
      authority: text(),
      userAgent: text(),
      forwardedFor: text(),
    };
    const record = answered(new FakeClock(), sent);
    record.failure = failure('bad-header', text());
    const line = accessLogLine(record, 'DPE');
    assert.match(line, /^[\x20-\x7e]+\n$/, `seed ${seed}, round ${i}`);
    const read = JSON.parse(line) as Record<string, string | null>;
    assert.equal(read.method, sent.method, `seed ${seed}, round ${i}`);
    assert.equal(read.path, sent.target);
    assert.equal(read.authority ?? '', sent.authority);
    assert.equal(read.user_agent ?? '', sent.userAgent);
    assert.equal(read.x_forwarded_for ?? '', sent.forwardedFor);
    assert.equal(read.connection_termination_details ?? '', record.failure.detail);
  }
});
