/** Checks of meaning for listeners and for the process: addresses that collide, TLS that can't work. */
import { LIMITS } from '../../base/index.ts';
import type { HostPort } from './addresses.ts';
import { checkCountsRequests, checkRateLimits } from './check-rate-limit.ts';
import { type CheckContext, checkFile } from './context.ts';
import type { ListenerFields } from './node-schema.ts';
import { checkOverloadManager } from './overload-manager.ts';
import { checkProxyProtocol } from './proxy-protocol.ts';
import type { ConfigFields } from './schema.ts';
import type { Path } from './source-text.ts';

export function checkNode(config: ConfigFields, context: CheckContext): void {
  const { listeners } = config;
  if (listeners.length === 0)
    context.faultIfWhole({
      path: ['listeners'],
      expected: 'at least one listener',
      cure: 'add one: - { name: web, address: ":8080" }',
    });
  if (listeners.length > LIMITS.listeners)
    context.fault({
      path: ['listeners'],
      expected: `at most ${LIMITS.listeners} listeners`,
      found: `${listeners.length}`,
    });
  listeners.forEach((listener, i) => {
    checkProtocol(listener, ['listeners', i], context);
    checkTls(listener, ['listeners', i, 'tls'], context);
    if (listener.proxyProtocol !== undefined)
      checkProxyProtocol(listener.proxyProtocol, ['listeners', i, 'proxyProtocol'], context);
    const limits = ['listeners', i, 'rateLimits'];
    checkRateLimits(listener.rateLimits, limits, context);
    checkCountsRequests(listener.rateLimits, listener.protocol, limits, context);
  });
  checkAddresses(config, context);
  checkOverloadManager(config.overloadManager, context);
  checkKeys(config, context);
  const { host } = config.admin.address;
  if (!host.startsWith('127.') && host !== '::1')
    context.fault({
      path: ['admin', 'address'],
      severity: 'warning',
      expected: 'a loopback address',
      cure: 'whoever reaches the management server can drain the proxy and read its configuration; use 127.0.0.1',
    });
}

function checkProtocol({ protocol, tls, http2 }: ListenerFields, path: Path, context: CheckContext): void {
  if (protocol === 'tls' && tls !== undefined)
    context.fault({
      path: [...path, 'tls'],
      expected: 'no tls section beside protocol: tls',
      found: 'one',
      cure: 'TLS is passed through by its server name; write protocol: auto to end it here',
    });
  if (
    protocol !== 'auto' &&
    protocol !== 'http2' &&
    http2.maxConcurrentStreams !== LIMITS.http2ConcurrentStreams
  )
    context.fault({
      path: [...path, 'http2'],
      severity: 'warning',
      expected: 'protocol: auto or http2 beside http2',
      found: `protocol: ${protocol}`,
      cure: 'it says nothing here; remove it, or correct the protocol',
    });
}

/** With SO_REUSEPORT two listeners on one address both bind, and the kernel deals connections to either. */
function checkAddresses(config: ConfigFields, context: CheckContext): void {
  const taken = new Map<string, Path>();
  const claim = (at: HostPort, path: Path) => {
    if (at.port === 0) return;
    const key = `${at.host}|${at.port}`;
    const earlier = taken.get(key);
    if (earlier === undefined) taken.set(key, path);
    else
      context.fault({
        path,
        expected: 'an address of its own',
        found: `the address of line ${context.lineOf(earlier)}`,
        cure: 'take another port; to serve several hosts or certificates on one address, use one listener and several routes or certificates',
      });
  };
  config.listeners.forEach((listener, i) => {
    claim(listener.address, ['listeners', i, 'address']);
  });
  claim(config.admin.address, ['admin', 'address']);
}

/** A certificate is known by its file, so it can't have one key here and another there. */
function checkKeys(config: ConfigFields, context: CheckContext): void {
  const keys = new Map<string, string>();
  const check = (certFile: string | undefined, keyFile: string | undefined, path: Path) => {
    if (certFile === undefined || keyFile === undefined) return;
    const certificate = context.resolvePath(certFile);
    const key = context.resolvePath(keyFile);
    const known = keys.get(certificate);
    if (known === undefined) keys.set(certificate, key);
    else if (known !== key)
      context.fault({
        path: [...path, 'keyFile'],
        expected: `${known}, the key named beside this certificate before`,
        cure: 'a certificate has one key; correct one of the two',
      });
  };
  config.listeners.forEach((listener, i) => {
    listener.tls?.certificates.forEach(({ certFile, keyFile }, j) => {
      check(certFile, keyFile, ['listeners', i, 'tls', 'certificates', j]);
    });
  });
  config.services.forEach((service, i) => {
    check(service.tls?.certFile, service.tls?.keyFile, ['services', i, 'tls']);
  });
}

function checkTls(listener: ListenerFields, path: Path, context: CheckContext): void {
  const { tls } = listener;
  if (tls === undefined) return;
  if (tls.certificates.length === 0)
    context.faultIfWhole({
      path: [...path, 'certificates'],
      expected: 'at least one certificate',
      cure: 'add { certFile: web.pem, keyFile: web.key }',
    });
  const seen = new Set<string>();
  tls.certificates.forEach((certificate, i) => {
    const at = [...path, 'certificates', i];
    checkFile(context, [...at, 'certFile'], certificate.certFile);
    checkFile(context, [...at, 'keyFile'], certificate.keyFile);
    checkFile(context, [...at, 'ocspFile'], certificate.ocspFile);
    if (seen.has(certificate.certFile))
      context.fault({
        path: [...at, 'certFile'],
        expected: 'each certificate once',
        cure: 'remove one of the two',
      });
    seen.add(certificate.certFile);
  });
  checkFile(context, [...path, 'clientCaFile'], tls.clientCaFile);
  if (tls.clientAuth !== 'off' && tls.clientCaFile === undefined)
    context.faultIfWhole({
      path: [...path, 'clientAuth'],
      expected: `clientCaFile beside clientAuth: ${tls.clientAuth}`,
      found: 'none',
      cure: 'name the PEM bundle that client certificates must chain to',
    });
  if (tls.clientAuth === 'off' && tls.clientCaFile !== undefined)
    context.faultIfWhole({
      path: [...path, 'clientCaFile'],
      severity: 'warning',
      expected: 'clientAuth: request or require beside it',
      cure: 'without it no client certificate is asked for; set clientAuth, or remove clientCaFile',
    });
}
