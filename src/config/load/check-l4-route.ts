/**
 * Checks of meaning for TLS and TCP routes: which listener can carry them, that each connection finds one
 * route at most, and that a listener without HTTP has one at all.
 */
import { isIP } from 'node:net';
import { LIMITS } from '../../base/index.ts';
import { checkReference, checkSubsetReference } from './check-reference.ts';
import type { CheckContext } from './context.ts';
import type { TcpRouteFields, TlsRouteFields } from './l4-route-schema.ts';
import type { ListenerFields } from './node-schema.ts';
import type { ConfigFields } from './schema.ts';
import type { Path } from './source-text.ts';
import type { RouteTargets } from './targets.ts';
import { l4Listeners } from './to-draft-route.ts';

type L4Fields = Pick<ConfigFields, 'listeners' | 'tlsRoutes' | 'tcpRoutes'>;

interface Owner {
  readonly route: string;
  readonly path: Path;
}

export function checkL4Routes(config: L4Fields, targets: RouteTargets, context: CheckContext): void {
  const { listeners, tlsRoutes, tcpRoutes } = config;
  for (const [list, { length }] of [
    ['tlsRoutes', tlsRoutes],
    ['tcpRoutes', tcpRoutes],
  ] as const)
    if (length > LIMITS.routes)
      context.fault({ path: [list], expected: `at most ${LIMITS.routes} routes`, found: `${length}` });
  const names = new Map<string, Owner>();
  tlsRoutes.forEach((route, i) => {
    const path = ['tlsRoutes', i];
    checkParents(route, 'tls', path, targets, context);
    checkServerNames(route, path, names, listeners, context);
    checkBackends(route, path, targets, context);
    checkTlsTwice(route, path, targets, context);
  });
  const taken = new Map<string, Owner>();
  tcpRoutes.forEach((route, i) => {
    const path = ['tcpRoutes', i];
    checkParents(route, 'tcp', path, targets, context);
    checkAlone(route, path, taken, listeners, context);
    checkBackends(route, path, targets, context);
  });
  checkServed(config, context);
}

function checkParents(
  route: TlsRouteFields | TcpRouteFields,
  protocol: 'tls' | 'tcp',
  path: Path,
  targets: RouteTargets,
  context: CheckContext,
): void {
  route.parentRefs.forEach(({ sectionName }, i) => {
    const at = [...path, 'parentRefs', i, 'sectionName'];
    checkReference(context, at, 'listener', sectionName, context.listenerNames);
    const listener = targets.listeners.get(sectionName);
    if (listener === undefined || listener.protocol === protocol) return;
    if (listener.protocol !== 'auto')
      context.fault({
        path: at,
        expected: `a listener of protocol ${protocol} or auto`,
        found: `"${sectionName}", of protocol ${listener.protocol}`,
        cure: `name another listener, or write protocol: ${protocol} there`,
      });
    else if (protocol === 'tls' && listener.tls !== undefined)
      context.fault({
        path: at,
        expected: 'a listener that passes TLS through',
        found: `"${sectionName}", whose tls section ends TLS`,
        cure: 'name another listener, of protocol tls; what has been ended here cannot be passed through',
      });
  });
  const { listeners } = targets;
  const own = route.parentRefs.length > 0 || [...listeners.values()].some((l) => l.protocol === protocol);
  if (!own && context.whole(['listeners']))
    context.faultIfWhole({
      path: [...path, 'parentRefs'],
      expected: `a listener of protocol ${protocol} for a route that names none`,
      found: 'none',
      cure: `write protocol: ${protocol} in a listener, or name one of protocol auto here: parentRefs: [{ sectionName: LISTENER }]`,
    });
}

/** Of two routes for one server name on one listener, one would never be taken. */
function checkServerNames(
  route: TlsRouteFields,
  path: Path,
  names: Map<string, Owner>,
  listeners: readonly ListenerFields[],
  context: CheckContext,
): void {
  route.hostnames.forEach((name, i) => {
    if (isIP(name) === 0) return;
    context.fault({
      path: [...path, 'hostnames', i],
      expected: 'a server name, which is no address (RFC 6066 section 3)',
      cure: 'a client that connects to an address sends no server name; leave hostnames out',
    });
  });
  const hostnames = route.hostnames.length === 0 ? [''] : route.hostnames;
  for (const listener of l4Listeners(route, 'tls', listeners))
    hostnames.forEach((name, i) => {
      const at = name === '' ? [...path, 'name'] : [...path, 'hostnames', i];
      const earlier = claim(names, `${listener}|${name}`, { route: route.name, path: at });
      if (earlier === null) return;
      context.fault({
        path: at,
        expected:
          name === ''
            ? `one TLS route without hostnames on listener ${listener}`
            : `each server name once on listener ${listener}`,
        found: `"${name === '' ? route.name : name}", beside TLS route ${earlier.route} of line ${context.lineOf(earlier.path)}`,
        cure: 'remove one of the two; to share connections by weight, list both services in backendRefs',
      });
    });
}

/** Bytes say nothing that a choice between two routes could go by. */
function checkAlone(
  route: TcpRouteFields,
  path: Path,
  taken: Map<string, Owner>,
  listeners: readonly ListenerFields[],
  context: CheckContext,
): void {
  for (const listener of l4Listeners(route, 'tcp', listeners)) {
    const i = route.parentRefs.findIndex((ref) => ref.sectionName === listener);
    const at = i < 0 ? [...path, 'name'] : [...path, 'parentRefs', i, 'sectionName'];
    const earlier = claim(taken, listener, { route: route.name, path: at });
    if (earlier === null) continue;
    context.fault({
      path: at,
      expected: `one TCP route for listener ${listener}`,
      found: `${route.name}, beside ${earlier.route} of line ${context.lineOf(earlier.path)}`,
      cure: 'give one of the two a listener of its own; to share connections by weight, list both services in backendRefs',
    });
  }
}

/** Null: it is the first. A route that names a listener twice is beside itself only. */
function claim(owners: Map<string, Owner>, key: string, owner: Owner): Owner | null {
  const earlier = owners.get(key);
  if (earlier === undefined) owners.set(key, owner);
  return earlier ?? null;
}

function checkBackends(
  route: TlsRouteFields | TcpRouteFields,
  path: Path,
  targets: RouteTargets,
  context: CheckContext,
): void {
  const at = [...path, 'backendRefs'];
  const { backendRefs } = route;
  if (backendRefs.length === 0)
    context.faultIfWhole({
      path: at,
      expected: 'at least one backend',
      cure: 'add one: backendRefs: [{ name: SERVICE }]',
    });
  else if (backendRefs.every((backend) => backend.weight === 0))
    context.faultIfWhole({
      path: at,
      severity: 'warning',
      expected: 'a weight above 0',
      found: 'weights that are all 0',
      cure: 'every connection that the route takes is closed at once',
    });
  backendRefs.forEach(({ name, subset }, i) => {
    checkReference(context, [...at, i, 'name'], 'service', name, context.serviceNames);
    checkSubsetReference(name, subset, [...at, i, 'subset'], targets, context);
  });
}

/** The endpoint would get TLS of ours around that of the client. */
function checkTlsTwice(
  route: TlsRouteFields,
  path: Path,
  targets: RouteTargets,
  context: CheckContext,
): void {
  route.backendRefs.forEach(({ name }, i) => {
    if (!targets.tls.has(name)) return;
    context.fault({
      path: [...path, 'backendRefs', i, 'name'],
      expected: 'a service without tls section behind a TLS route',
      found: `"${name}", which has one`,
      cure: "the client's own TLS reaches the endpoint: remove the section; or end the client's at a listener of protocol auto with a tls section, and use routes",
    });
  });
}

/** A listener without HTTP has nothing to do but what its TLS or TCP routes say. */
function checkServed({ listeners, tlsRoutes, tcpRoutes }: L4Fields, context: CheckContext): void {
  for (const [protocol, list, routes] of [
    ['tls', 'tlsRoutes', tlsRoutes],
    ['tcp', 'tcpRoutes', tcpRoutes],
  ] as const) {
    const served = new Set(routes.flatMap((route) => l4Listeners(route, protocol, listeners)));
    listeners.forEach(({ name, ...listener }, i) => {
      if (listener.protocol !== protocol || served.has(name) || !context.whole([list])) return;
      context.fault({
        path: ['listeners', i, 'protocol'],
        expected: `a ${protocol.toUpperCase()} route for a listener of protocol ${protocol}`,
        found: 'none',
        cure: `add ${list}: [{ name: ${name}, parentRefs: [{ sectionName: ${name} }], backendRefs: [{ name: SERVICE }] }]`,
      });
    });
  }
}
