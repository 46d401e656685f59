import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteConfig } from '../../src/config/index.ts';
import { compileRouter } from '../../src/dataplane/router/index.ts';
import { CASES } from './cases.ts';
import { GRPC_CASES } from './grpc-cases.ts';
import { type MatchSketch, prepared, type RouteSketch, request, route, snapshot } from './kit.ts';
import { referenceMatch } from './reference.ts';
import { below, freshSeed, oneOf, type Random, seeded } from './seeded.ts';

const LISTENERS = ['web', 'tls', 'third'];

for (const { about, routes, requests } of [...CASES, ...GRPC_CASES]) {
  test(about, () => {
    const config = snapshot(routes.map(route), LISTENERS);
    const router = compileRouter(config, null, () => null);
    for (const { line, host = 'any.host', listener = 'web', headers = [], expect } of requests) {
      const head = request(line, host, ...headers);
      const path = prepared(head.target);
      const where = `${line} ${host} ${headers.join(' ')}`;
      assert.equal(router.match(listener, head, path)?.name ?? null, expect, where);
      assert.equal(
        referenceMatch(config, listener, head, path.path, path.query),
        expect,
        `reference: ${where}`,
      );
    }
  });
}

test('an unknown listener has no routes', () => {
  const router = compileRouter(snapshot([route({ name: 'r', rules: [{ name: 'r' }] })]), null, () => null);
  assert.equal(router.match('nowhere', request('/', 'h'), prepared('/')), null);
});

test('random routes and requests: the same rule as the slow and obvious router', () => {
  const seed = freshSeed();
  const random = seeded(seed);
  for (let round = 0; round < 150; round++) {
    const config = snapshot(randomRoutes(random), LISTENERS);
    const router = compileRouter(config, null, () => null);
    for (let i = 0; i < 60; i++) {
      const head = randomRequest(random);
      const path = prepared(head.target);
      const listener = oneOf(random, LISTENERS);
      assert.equal(
        router.match(listener, head, path)?.name ?? null,
        referenceMatch(config, listener, head, path.path, path.query),
        `OUTBOARD_SEED=${seed}, round ${round}: ${head.method} ${head.target} to ${head.authority} on ${listener}`,
      );
    }
  }
});

const ELEMENTS = ['a', 'b', 'ab', 'c.d', ''];
const HOSTS = ['a.b', 'x.a.b', 'y.x.a.b', 'b', 'A.B:80', 'c', 'x.c.', ''];

function randomRoutes(random: Random): RouteConfig[] {
  return Array.from({ length: 1 + below(random, 6) }, (_, r) => {
    const sketch: RouteSketch = {
      name: `${r}`,
      listeners: random() < 0.3 ? [oneOf(random, LISTENERS)] : [],
      hostnames: random() < 0.3 ? [] : some(random, ['a.b', '*.a.b', '*.b', 'x.a.b', 'c', '*.c'], 3),
      rules: Array.from({ length: 1 + below(random, 4) }, (_, i) => ({
        name: `${r}/${i}`,
        matches: Array.from({ length: 1 + below(random, 3) }, () => randomMatch(random)),
      })),
    };
    return route(sketch);
  });
}

function randomMatch(random: Random): MatchSketch {
  const sketch: MatchSketch = {};
  const path = randomPath(random).replace(/\/+/g, '/');
  const kind = random();
  if (kind < 0.25) sketch.path = `= ${path}`;
  else if (kind < 0.4)
    sketch.path = `~ ${oneOf(random, ['/a.*', '/(a|b)/?', '/[ab]+/.*', '/ab?/c.d', '.*'])}`;
  else if (kind < 0.9) sketch.path = path;
  if (random() < 0.3) sketch.method = oneOf(random, ['GET', 'POST']);
  if (random() < 0.2) sketch.grpc = true;
  if (random() < 0.4) sketch.headers = some(random, ['x: 1', 'y: 2', 'z ~ [0-9]'], 2);
  if (random() < 0.3) sketch.query = some(random, ['q=1', 'r=2', 's~[0-9]'], 2);
  return sketch;
}

function randomRequest(random: Random) {
  const query = random() < 0.5 ? `?${some(random, ['q=1', 'q=2', 'r=2', 's=3', 's=x'], 3).join('&')}` : '';
  const headers = some(random, ['x: 1', 'X: 2', 'y: 2', 'z: 3', 'z: x'], 3);
  if (random() < 0.4)
    headers.push(`content-type: application/${oneOf(random, ['grpc', 'grpc+proto', 'grpc-web', 'json'])}`);
  return request(
    `${oneOf(random, ['GET', 'POST'])} ${randomPath(random)}${query}`,
    oneOf(random, HOSTS),
    ...headers,
  );
}

function randomPath(random: Random): string {
  return `/${Array.from({ length: below(random, 4) }, () => oneOf(random, ELEMENTS)).join('/')}`;
}

function some<T>(random: Random, items: readonly T[], most: number): T[] {
  return [...new Set(Array.from({ length: 1 + below(random, most) }, () => oneOf(random, items)))];
}
