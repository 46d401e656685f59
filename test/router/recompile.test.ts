import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileRouter } from '../../src/dataplane/router/index.ts';
import { prepared, request, route, snapshot } from './kit.ts';

const name = (rule: { name: string }) => rule.name;

test('unchanged routes keep their rules, changed ones are compiled anew', () => {
  const cart = route({ name: 'cart', hostnames: ['cart'], rules: [{ name: 'cart/0' }] });
  const stock = route({ name: 'stock', hostnames: ['stock'], rules: [{ name: 'stock/0' }] });
  const compiled: string[] = [];
  const attach = (rule: { name: string }) => {
    compiled.push(rule.name);
    return rule.name;
  };
  const first = compileRouter(snapshot([cart, stock]), null, attach);
  const cartRule = first.match('web', request('/', 'cart'), prepared('/'));
  const changed = route({ name: 'stock', hostnames: ['stock'], rules: [{ name: 'stock/new' }] });
  const second = compileRouter(snapshot([cart, changed]), first, attach);
  assert.equal(second.match('web', request('/', 'cart'), prepared('/')), cartRule);
  assert.equal(second.match('web', request('/', 'stock'), prepared('/'))?.name, 'stock/new');
  assert.equal(first.match('web', request('/', 'stock'), prepared('/'))?.name, 'stock/0');
  assert.deepEqual(compiled, ['cart/0', 'stock/0', 'stock/new']);
});

test('the order of the file counts again after a reload, without anything else changing', () => {
  const one = route({ name: 'one', rules: [{ name: 'one' }] });
  const two = route({ name: 'two', rules: [{ name: 'two' }] });
  const first = compileRouter(snapshot([one, two]), null, name);
  const second = compileRouter(snapshot([two, one]), first, name);
  assert.equal(first.match('web', request('/', 'h'), prepared('/'))?.name, 'one');
  assert.equal(second.match('web', request('/', 'h'), prepared('/'))?.name, 'two');
});

test('removed routes, hosts and listeners are gone', () => {
  const a = route({ name: 'a', hostnames: ['a', '*.w'], rules: [{ name: 'a' }] });
  const b = route({ name: 'b', listeners: ['web'], rules: [{ name: 'b' }] });
  const first = compileRouter(snapshot([a, b], ['web', 'tls']), null, name);
  const second = compileRouter(snapshot([b], ['web']), first, name);
  assert.equal(first.match('tls', request('/', 'a'), prepared('/'))?.name, 'a');
  assert.equal(second.match('web', request('/', 'a'), prepared('/'))?.name, 'b');
  assert.equal(second.match('web', request('/', 'x.w'), prepared('/'))?.name, 'b');
  assert.equal(second.match('tls', request('/', 'a'), prepared('/')), null);
});

test('a route that begins to name a listener leaves the others', () => {
  const everywhere = route({ name: 'r', rules: [{ name: 'r' }] });
  const named = route({ name: 'r', listeners: ['tls'], rules: [{ name: 'r' }] });
  const first = compileRouter(snapshot([everywhere], ['web', 'tls']), null, name);
  const second = compileRouter(snapshot([named], ['web', 'tls']), first, name);
  assert.equal(second.match('web', request('/', 'h'), prepared('/')), null);
  assert.equal(second.match('tls', request('/', 'h'), prepared('/'))?.name, 'r');
});

test('a snapshot with the routes and listeners of the last one keeps the whole router', () => {
  const older = snapshot([route({ name: 'r', rules: [{ name: 'r' }] })]);
  const first = compileRouter(older, null, name);
  assert.equal(compileRouter({ ...older, version: 2, services: [] }, first, name), first);
  assert.notEqual(compileRouter({ ...older, listeners: [...older.listeners] }, first, name), first);
  assert.notEqual(compileRouter({ ...older, routes: [...older.routes] }, first, name), first);
});
