/** Checks of meaning for services: fields that contradict each other, and limits that can't work. */
import { isIP } from 'node:net';
import { LIMITS } from '../../base/index.ts';
import { checkAdaptiveConcurrency } from './adaptive-concurrency.ts';
import { checkBalancer } from './check-balancer.ts';
import { checkHealth, checkOutlier, HTTP2_PROTOCOLS, speaksHttp2 } from './check-health.ts';
import { checkCountsRequests, checkRateLimits } from './check-rate-limit.ts';
import { checkSubsets } from './check-subset.ts';
import { type CheckContext, checkFile } from './context.ts';
import type { ConfigFields } from './schema.ts';
import type { ServiceFields } from './service-schema.ts';
import type { Path } from './source-text.ts';

export function checkServices(config: ConfigFields, context: CheckContext): void {
  const { services } = config;
  if (services.length > LIMITS.services)
    context.fault({
      path: ['services'],
      expected: `at most ${LIMITS.services} services`,
      found: `${services.length}`,
    });
  const endpoints = services.reduce((sum, service) => sum + (service.endpoints?.length ?? 0), 0);
  if (endpoints > LIMITS.endpoints)
    context.fault({
      path: ['services'],
      expected: `at most ${LIMITS.endpoints} endpoints`,
      found: `${endpoints}`,
    });
  services.forEach((service, i) => {
    checkService(service, ['services', i], context);
  });
}

export function checkService(service: ServiceFields, path: Path, context: CheckContext): void {
  checkEndpoints(service, path, context);
  checkBalancer(service, path, context);
  checkSubsets(service, path, context);
  checkHttp2(service, path, context);
  checkRetries(service, path, context);
  checkAdaptiveConcurrency(
    service.adaptiveConcurrency,
    service.protocol,
    [...path, 'adaptiveConcurrency'],
    context,
  );
  checkOutlier(service, path, context);
  checkHealth(service, path, context);
  checkTls(service, path, context);
  const limits = [...path, 'rateLimits'];
  checkRateLimits(service.rateLimits, limits, context);
  checkCountsRequests(service.rateLimits, service.protocol, limits, context);
}

function checkEndpoints(service: ServiceFields, path: Path, context: CheckContext): void {
  const { endpoints, dns } = service;
  if (endpoints === undefined && dns === undefined)
    context.faultIfWhole({
      path,
      expected: 'endpoints or dns',
      found: 'neither',
      cure: 'add endpoints: [{ address: 127.0.0.1:9001 }] or dns: NAME:PORT',
    });
  if (endpoints !== undefined && dns !== undefined)
    context.fault({
      path: [...path, 'dns'],
      expected: 'endpoints or dns',
      found: 'both',
      cure: 'remove one of the two',
    });
  if (endpoints?.length === 0)
    context.faultIfWhole({
      path: [...path, 'endpoints'],
      severity: 'warning',
      expected: 'at least one endpoint',
      cure: 'every request to this service gets 503 (flag UH)',
    });
  const seen = new Set<string>();
  endpoints?.forEach(({ address }, i) => {
    const key = `${address.host}|${address.port}`;
    if (seen.has(key))
      context.fault({
        path: [...path, 'endpoints', i, 'address'],
        expected: 'each address once',
        cure: 'to give it more load, use weight',
      });
    seen.add(key);
  });
}

function checkRetries(service: ServiceFields, path: Path, context: CheckContext): void {
  if (service.retryBudget === 'off') return;
  if (service.circuitBreaker.maxRetries !== MAX_RETRIES_DEFAULT)
    context.fault({
      path: [...path, 'circuitBreaker', 'maxRetries'],
      severity: 'warning',
      expected: 'retryBudget: off beside maxRetries',
      cure: 'the budget is on and replaces maxRetries, as in Envoy; switch it off, or remove maxRetries',
    });
}

const MAX_RETRIES_DEFAULT = 3;

function checkHttp2(service: ServiceFields, path: Path, context: CheckContext): void {
  const { maxConcurrentStreams, keepaliveInterval, keepaliveTimeout } = service.http2;
  const stated =
    maxConcurrentStreams !== LIMITS.http2ConcurrentStreams ||
    keepaliveInterval !== 0 ||
    keepaliveTimeout !== LIMITS.keepaliveTimeoutMs;
  if (stated && !speaksHttp2(service))
    context.faultIfWhole({
      path: [...path, 'http2'],
      severity: 'warning',
      expected: `${HTTP2_PROTOCOLS} beside http2`,
      found: `protocol: ${service.protocol}`,
      cure: 'it says nothing here; remove it, or correct the protocol',
    });
}

function checkTls(service: ServiceFields, path: Path, context: CheckContext): void {
  const { tls, dns } = service;
  if (tls === undefined) return;
  const at = [...path, 'tls'];
  checkFile(context, [...at, 'caFile'], tls.caFile);
  checkFile(context, [...at, 'certFile'], tls.certFile);
  checkFile(context, [...at, 'keyFile'], tls.keyFile);
  if (tls.sni !== undefined && isIP(tls.sni) !== 0)
    context.fault({
      path: [...at, 'sni'],
      expected: 'a host name, as RFC 6066 section 3 asks',
      cure: 'write the address in subjectAltNames and leave sni out',
    });
  if (tls.sni === undefined && dns === undefined && tls.subjectAltNames.length === 0)
    context.faultIfWhole({
      path: at,
      expected: 'sni or subjectAltNames',
      found: 'neither',
      cure: 'name what the endpoint certificate must hold: sni: cart.shop',
    });
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined))
    context.faultIfWhole({
      path: at,
      expected: 'certFile and keyFile together',
      found: 'one of them',
      cure: 'a client certificate needs its key',
    });
}
