/**
 * One table of routes and requests that every router must answer alike: Gateway API's precedence and the
 * edges that people meet. `expect` is the name of the rule, or null for no route.
 */
import type { RouteSketch } from './kit.ts';

export interface RouterCase {
  readonly about: string;
  readonly routes: readonly RouteSketch[];
  readonly requests: readonly RequestCase[];
}

export interface RequestCase {
  /** `GET /path` or `/path`. */
  readonly line: string;
  readonly host?: string;
  readonly listener?: string;
  readonly headers?: readonly string[];
  readonly expect: string | null;
}

export const CASES: readonly RouterCase[] = [
  {
    about: 'an exact path wins over prefixes, and is exact',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'prefix', matches: [{ path: '/abc' }] },
          { name: 'exact', matches: [{ path: '= /abc' }] },
        ],
      },
    ],
    requests: [
      { line: '/abc', expect: 'exact' },
      { line: '/abc?x=1', expect: 'exact' },
      { line: '/abc/', expect: 'prefix' },
      { line: '/abc/def', expect: 'prefix' },
      { line: '/abcd', expect: null },
      { line: '/Abc', expect: null },
      { line: '/', expect: null },
    ],
  },
  {
    about: 'the longest prefix wins, by elements, and its trailing slash means nothing',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'root', matches: [{ path: '/' }] },
          { name: 'a', matches: [{ path: '/a' }] },
          { name: 'ab', matches: [{ path: '/a/b/' }] },
          { name: 'abc', matches: [{ path: '/a/b/c' }] },
        ],
      },
    ],
    requests: [
      { line: '/', expect: 'root' },
      { line: '/x', expect: 'root' },
      { line: '/a', expect: 'a' },
      { line: '/a/', expect: 'a' },
      { line: '/ab', expect: 'root' },
      { line: '/a/b', expect: 'ab' },
      { line: '/a/b/', expect: 'ab' },
      { line: '/a/bc', expect: 'a' },
      { line: '/a/b/c', expect: 'abc' },
      { line: '/a/b/c/d/e', expect: 'abc' },
      { line: '/a//b', expect: 'a' },
    ],
  },
  {
    about: 'a longer prefix wins over more conditions on a shorter one',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'short', matches: [{ path: '/a', method: 'GET', headers: ['x: 1', 'y: 2'] }] },
          { name: 'long', matches: [{ path: '/a/b' }] },
        ],
      },
    ],
    requests: [
      { line: '/a/b', headers: ['x: 1', 'y: 2'], expect: 'long' },
      { line: '/a/c', headers: ['x: 1', 'y: 2'], expect: 'short' },
    ],
  },
  {
    about: 'a shorter prefix is used when the conditions of the longer one fail',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'long', matches: [{ path: '/a/b', headers: ['x: 1'] }] },
          { name: 'short', matches: [{ path: '/a' }] },
          { name: 'exact', matches: [{ path: '= /a/b', method: 'POST' }] },
        ],
      },
    ],
    requests: [
      { line: '/a/b', expect: 'short' },
      { line: '/a/b', headers: ['x: 1'], expect: 'long' },
      { line: 'POST /a/b', headers: ['x: 1'], expect: 'exact' },
    ],
  },
  {
    about: 'then the method, then the number of headers, then the number of query parameters',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'plain', matches: [{}] },
          { name: 'query', matches: [{ query: ['a=1', 'b=2', 'c=3'] }] },
          { name: 'header', matches: [{ headers: ['x: 1'] }] },
          { name: 'headers', matches: [{ headers: ['x: 1', 'y: 2'] }] },
          { name: 'header+query', matches: [{ headers: ['x: 1'], query: ['a=1'] }] },
          { name: 'method', matches: [{ method: 'PUT' }] },
        ],
      },
    ],
    requests: [
      { line: '/', expect: 'plain' },
      { line: '/?a=1&b=2&c=3', expect: 'query' },
      { line: '/?a=1&b=2&c=3', headers: ['x: 1'], expect: 'header+query' },
      { line: '/?a=2', headers: ['x: 1'], expect: 'header' },
      { line: '/?a=1', headers: ['X: 1', 'Y: 2'], expect: 'headers' },
      { line: 'PUT /?a=1', headers: ['x: 1', 'y: 2'], expect: 'method' },
      { line: 'put /', expect: 'plain' },
    ],
  },
  {
    about: 'ties go to the first route in the file, then to its first rule',
    routes: [
      {
        name: 'one',
        rules: [{ name: 'one/0', matches: [{ path: '/b' }] }, { name: 'one/1' }, { name: 'one/2' }],
      },
      {
        name: 'two',
        rules: [{ name: 'two/0', matches: [{ path: '/a' }, { path: '/b' }] }, { name: 'two/1' }],
      },
    ],
    requests: [
      { line: '/', expect: 'one/1' },
      { line: '/a', expect: 'two/0' },
      { line: '/b', expect: 'one/0' },
    ],
  },
  {
    about: 'any match of a rule is enough, and the best of them counts',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'either', matches: [{ path: '/foo', headers: ['version: v2'] }, { path: '/v2/foo' }] },
          { name: 'foo', matches: [{ path: '/foo' }] },
        ],
      },
    ],
    requests: [
      { line: '/foo', headers: ['version: v2'], expect: 'either' },
      { line: '/v2/foo/x', expect: 'either' },
      { line: '/foo', headers: ['version: v1'], expect: 'foo' },
    ],
  },
  {
    about:
      'an exact host name wins over wildcards, the longer wildcard over the shorter, any over every host',
    routes: [
      { name: 'every', rules: [{ name: 'every' }] },
      { name: 'w1', hostnames: ['*.shop'], rules: [{ name: '*.shop' }] },
      { name: 'w2', hostnames: ['*.cart.shop'], rules: [{ name: '*.cart.shop' }] },
      { name: 'exact', hostnames: ['cart.shop', 'a.cart.shop'], rules: [{ name: 'exact' }] },
    ],
    requests: [
      { line: '/', host: 'cart.shop', expect: 'exact' },
      { line: '/', host: 'a.cart.shop', expect: 'exact' },
      { line: '/', host: 'b.cart.shop', expect: '*.cart.shop' },
      { line: '/', host: 'x.a.cart.shop', expect: '*.cart.shop' },
      { line: '/', host: 'x.y.shop', expect: '*.shop' },
      { line: '/', host: 'shop', expect: 'every' },
      { line: '/', host: 'workshop', expect: 'every' },
      { line: '/', host: '.shop', expect: 'every' },
      { line: '/', host: '', expect: 'every' },
      { line: '/', host: '[::1]:8080', expect: 'every' },
      { line: '/', host: '10.0.0.1:80', expect: 'every' },
    ],
  },
  {
    about: 'port, case and a trailing dot of the host do not count',
    routes: [
      { name: 'e', hostnames: ['cart.shop'], rules: [{ name: 'exact' }] },
      { name: 'w', hostnames: ['*.shop'], rules: [{ name: 'wild' }] },
    ],
    requests: [
      { line: '/', host: 'cart.shop:8080', expect: 'exact' },
      { line: '/', host: 'CART.Shop', expect: 'exact' },
      { line: '/', host: 'cart.shop.', expect: 'exact' },
      { line: '/', host: 'Cart.Shop.:443', expect: 'exact' },
      { line: '/', host: 'cart.shop:', expect: 'exact' },
      { line: '/', host: 'B.SHOP:1', expect: 'wild' },
      { line: '/', host: 'other', expect: null },
      { line: '/', host: `${'a.'.repeat(200)}shop`, expect: 'wild' },
    ],
  },
  {
    about: 'a wildcard does not match the name it is a wildcard of',
    routes: [{ name: 'w', hostnames: ['*.a.b'], rules: [{ name: 'w' }] }],
    requests: [
      { line: '/', host: 'a.b', expect: null },
      { line: '/', host: 'x.a.b', expect: 'w' },
      { line: '/', host: 'y.x.a.b', expect: 'w' },
      { line: '/', host: 'xa.b', expect: null },
    ],
  },
  {
    about: 'when no rule of the most specific host name matches, less specific ones are not asked',
    routes: [
      { name: 'every', rules: [{ name: 'every' }] },
      { name: 'exact', hostnames: ['cart.shop'], rules: [{ name: 'only-a', matches: [{ path: '/a' }] }] },
      { name: 'wild', hostnames: ['*.shop'], rules: [{ name: 'wild' }] },
    ],
    requests: [
      { line: '/a', host: 'cart.shop', expect: 'only-a' },
      { line: '/b', host: 'cart.shop', expect: null },
      { line: '/b', host: 'x.shop', expect: 'wild' },
    ],
  },
  {
    about: 'the host name is more important than anything in the match',
    routes: [
      {
        name: 'wild',
        hostnames: ['*.shop'],
        rules: [{ name: 'wild', matches: [{ path: '= /a', method: 'GET' }] }],
      },
      { name: 'exact', hostnames: ['cart.shop'], rules: [{ name: 'exact' }] },
    ],
    requests: [
      { line: '/a', host: 'cart.shop', expect: 'exact' },
      { line: '/a', host: 'x.shop', expect: 'wild' },
    ],
  },
  {
    about: 'routes of several files share a host name',
    routes: [
      { name: 'a', hostnames: ['shop'], rules: [{ name: 'a', matches: [{ path: '/a' }] }] },
      { name: 'b', hostnames: ['shop', 'shop'], rules: [{ name: 'b', matches: [{ path: '/b' }] }] },
    ],
    requests: [
      { line: '/a', host: 'shop', expect: 'a' },
      { line: '/b', host: 'shop', expect: 'b' },
      { line: '/c', host: 'shop', expect: null },
    ],
  },
  {
    about: 'a route with listeners is for them alone',
    routes: [
      { name: 'all', rules: [{ name: 'all' }] },
      {
        name: 'tls',
        listeners: ['tls'],
        hostnames: ['shop'],
        rules: [{ name: 'tls', matches: [{ path: '/a' }] }],
      },
      { name: 'both', listeners: ['tls', 'web'], rules: [{ name: 'both', matches: [{ path: '/b' }] }] },
    ],
    requests: [
      { line: '/a', host: 'shop', listener: 'web', expect: 'all' },
      { line: '/a', host: 'shop', listener: 'tls', expect: 'tls' },
      { line: '/x', host: 'shop', listener: 'tls', expect: null },
      { line: '/b', listener: 'web', expect: 'both' },
      { line: '/b', listener: 'tls', expect: 'both' },
      { line: '/b', listener: 'third', expect: 'all' },
    ],
  },
  {
    about:
      'a regular expression must match the whole path; it comes after exact, before prefixes, longest first',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'prefix', matches: [{ path: '/user/7/orders' }] },
          { name: 'short', matches: [{ path: '~ /user/[0-9]+.*' }] },
          { name: 'long', matches: [{ path: '~ /user/[0-9]+/orders' }] },
          { name: 'exact', matches: [{ path: '= /user/8/orders' }] },
          { name: 'post', matches: [{ path: '~ /form(/x)?', method: 'POST' }] },
          { name: 'either', matches: [{ path: '~ /one|/two' }] },
          { name: 'optional', matches: [{ path: '~ ^/colou?r$' }] },
        ],
      },
    ],
    requests: [
      { line: '/user/7/orders', expect: 'long' },
      { line: '/user/8/orders', expect: 'exact' },
      { line: '/user/7', expect: 'short' },
      { line: '/user/7/orders/1', expect: 'short' },
      { line: '/my/user/7', expect: null },
      { line: '/form', expect: null },
      { line: 'POST /form', expect: 'post' },
      { line: 'POST /form/x', expect: 'post' },
      { line: 'POST /form/xy', expect: null },
      { line: '/one', expect: 'either' },
      { line: '/two', expect: 'either' },
      { line: '/color', expect: 'optional' },
      { line: '/colour', expect: 'optional' },
      { line: '/colouur', expect: null },
    ],
  },
  {
    about: 'header values: exact, by expression, repeated, in any case of the name',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'list', matches: [{ headers: ['accept: a, b'] }] },
          { name: 'exact', matches: [{ headers: ['x-env: prod'] }] },
          { name: 'like', matches: [{ headers: ['x-env ~ prod-[0-9]+'] }] },
          { name: 'agent', matches: [{ headers: ['user-agent ~ .*Firefox.*'] }] },
          { name: 'host', matches: [{ headers: ['host: cart.shop:8080'] }] },
        ],
      },
    ],
    requests: [
      { line: '/', headers: ['X-Env: prod'], expect: 'exact' },
      { line: '/', headers: ['x-env: PROD'], expect: null },
      { line: '/', headers: ['x-env: prod-12'], expect: 'like' },
      { line: '/', headers: ['x-env: prod-12x'], expect: null },
      { line: '/', headers: ['x-env: prod', 'x-env: prod'], expect: null },
      { line: '/', headers: ['Accept: a', 'accept: b'], expect: 'list' },
      { line: '/', headers: ['User-Agent: Mozilla Firefox/1'], expect: 'agent' },
      { line: '/', host: 'cart.shop:8080', expect: 'host' },
      { line: '/', host: 'cart.shop', expect: null },
    ],
  },
  {
    about: 'query parameters: decoded, first of several, present when empty, names in their case',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'space', matches: [{ query: ['q=a b'] }] },
          { name: 'one', matches: [{ query: ['x=1'] }] },
          { name: 'like', matches: [{ query: ['x~[0-9]+'] }] },
          { name: 'utf8', matches: [{ query: ['n=é'] }] },
        ],
      },
    ],
    requests: [
      { line: '/?q=a%20b', expect: 'space' },
      { line: '/?q=a+b', expect: 'space' },
      { line: '/?x=1&x=a', expect: 'one' },
      { line: '/?x=2&x=1', expect: 'like' },
      { line: '/?x=', expect: null },
      { line: '/?X=1', expect: null },
      { line: '/?y=x=1', expect: null },
      { line: '/?n=%C3%A9', expect: 'utf8' },
      { line: '/', expect: null },
      { line: '/?', expect: null },
    ],
  },
  {
    about: '`OPTIONS *` falls under rules for every path only',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'root', matches: [{ path: '/', method: 'OPTIONS' }] },
          { name: 'a', matches: [{ path: '/a' }] },
        ],
      },
    ],
    requests: [
      { line: 'OPTIONS *', expect: 'root' },
      { line: 'GET *', expect: null },
    ],
  },
  {
    about: 'what is matched is the normalised path',
    routes: [
      {
        name: 'r',
        rules: [
          { name: 'admin', matches: [{ path: '/admin' }] },
          { name: 'rest', matches: [{ path: '/' }] },
        ],
      },
    ],
    requests: [
      { line: '/public/../admin/x', expect: 'admin' },
      { line: '/%61dmin', expect: 'admin' },
      { line: '/x/%2e%2e/admin', expect: 'admin' },
      { line: '\\admin', expect: 'admin' },
      { line: '/admin%2Fx', expect: 'rest' },
    ],
  },
  { about: 'no routes, no rule', routes: [], requests: [{ line: '/', expect: null }] },
];
