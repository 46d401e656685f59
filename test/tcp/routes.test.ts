/** Which route a connection takes: by listener and server name, the most specific first; what a reload keeps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Snapshot, TcpRouteConfig, TlsRouteConfig } from '../../src/config/index.ts';
import { compileConnectionRoutes } from '../../src/dataplane/router/index.ts';
import { seeded } from './kit.ts';

type Routes = Pick<Snapshot, 'tlsRoutes' | 'tcpRoutes'>;

function tls(name: string, hostnames: readonly string[], listeners = ['l']): TlsRouteConfig {
  return { name, listeners, hostnames, backends: [{ service: name, subset: null, weight: 1 }] };
}

function tcp(name: string, listeners = ['l']): TcpRouteConfig {
  return { name, listeners, backends: [{ service: name, subset: null, weight: 1 }] };
}

function compiled(routes: Partial<Routes>) {
  return compileConnectionRoutes({ tlsRoutes: [], tcpRoutes: [], ...routes } as unknown as Snapshot, null);
}

const NAMED = [tls('exact', ['a.b.c', 'd']), tls('wide', ['*.c']), tls('near', ['*.b.c', '*.e'])];

test('the exact name wins, then the longest wildcard, then the route for every name', () => {
  const cases: readonly (readonly [name: string, only: string | undefined, withEvery: string])[] = [
    ['a.b.c', 'exact', 'exact'],
    ['x.b.c', 'near', 'near'],
    ['x.y.b.c', 'near', 'near'],
    ['b.c', 'wide', 'wide'],
    ['x.c', 'wide', 'wide'],
    ['c', undefined, 'every'],
    ['e', undefined, 'every'],
    ['x.e', 'near', 'near'],
    ['d', 'exact', 'exact'],
    ['x.d', undefined, 'every'],
    ['.c', undefined, 'every'],
    ['*.c', 'wide', 'wide'],
    ['', undefined, 'every'],
    [`${'a.'.repeat(40_000)}c`, 'wide', 'wide'],
    [`${'a.'.repeat(40_000)}x`, undefined, 'every'],
  ];
  const only = compiled({ tlsRoutes: NAMED });
  const withEvery = compiled({ tlsRoutes: [tls('every', []), ...NAMED] });
  for (const [name, plain, every] of cases) {
    assert.equal(only.find('l', name)?.name, plain, name.slice(-20));
    assert.equal(withEvery.find('l', name)?.name, every, name.slice(-20));
  }
});

test('what no TLS route wants goes to the TCP route of the listener, and only of that one', () => {
  const routes = compiled({ tlsRoutes: NAMED, tcpRoutes: [tcp('bytes'), tcp('others', ['m'])] });
  assert.equal(routes.find('l', 'a.b.c')?.name, 'exact');
  assert.equal(routes.find('l', 'unknown')?.name, 'bytes');
  assert.equal(routes.find('l', '')?.name, 'bytes');
  assert.equal(routes.find('l', null)?.name, 'bytes');
  assert.equal(routes.find('m', 'a.b.c')?.name, 'others');
  assert.equal(routes.find('n', 'a.b.c'), null);
  assert.deepEqual(routes.carried('l'), { tls: true, tcp: true });
  assert.deepEqual(routes.carried('m'), { tls: false, tcp: true });
  assert.deepEqual(routes.carried('n'), { tls: false, tcp: false });
  assert.equal(compiled({ tlsRoutes: NAMED }).find('l', null), null, 'a TLS route takes nothing but TLS');
});

test('backends share by weight; a weight of 0 takes nothing', () => {
  const backends = [
    { service: 'a', subset: null, weight: 3 },
    { service: 'b', subset: null, weight: 0 },
    { service: 'c', subset: null, weight: 1 },
  ];
  const route = compiled({ tcpRoutes: [{ name: 'r', listeners: ['l'], backends }] }).find('l', null);
  const random = seeded(7);
  const picked = { a: 0, b: 0, c: 0 };
  for (let i = 0; i < 10_000; i++) picked[route?.pick(random(1_000_000) / 1_000_000)?.service as 'a']++;
  assert.equal(picked.b, 0);
  assert.ok(Math.abs(picked.a / picked.c - 3) < 0.3, JSON.stringify(picked));
  const idle = [{ service: 'a', subset: null, weight: 0 }];
  const none = compiled({ tcpRoutes: [{ name: 'r', listeners: ['l'], backends: idle }] });
  assert.equal(none.find('l', null)?.pick(0), null);
});

test('routes that did not change are not compiled again', () => {
  const snapshot = { tlsRoutes: NAMED, tcpRoutes: [] } as unknown as Snapshot;
  const first = compileConnectionRoutes(snapshot, null);
  assert.equal(compileConnectionRoutes({ ...snapshot, version: 2 }, first), first);
  assert.notEqual(compileConnectionRoutes({ ...snapshot, tcpRoutes: [tcp('new')] }, first), first);
});
