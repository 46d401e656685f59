/**
 * Routes of whole connections, in the shape of Gateway API's TLSRoute and TCPRoute with their one rule
 * flattened into the route.
 */
import { z } from 'zod';
import { hostname, objectName } from './names.ts';
import { integer } from './scalar.ts';

const backendRefs = () =>
  z
    .array(
      z.strictObject({
        name: objectName().describe('A service, of whatever protocol: bytes are passed on.'),
        subset: objectName().optional().describe('A subset of it. Absent: all its endpoints.'),
        weight: integer({ min: 0, max: 1_000_000 })
          .prefault(1)
          .describe('Share of the connections; 0: none.'),
      }),
    )
    .describe('Where connections go, by weight.');

/** A route that names no listener is no reason for an `auto` one to wait for other protocols. */
const parentRefs = (protocol: 'tls' | 'tcp') =>
  z
    .array(z.strictObject({ sectionName: objectName().describe('A listener.') }))
    .prefault([])
    .describe(
      `Listeners of protocol ${protocol} or auto that the route is for. Empty: every listener of protocol ${protocol}.`,
    );

export const tlsRouteSchema = z.strictObject({
  name: objectName().describe('Unique among TLS routes.'),
  parentRefs: parentRefs('tls'),
  hostnames: z
    .array(hostname({ wildcard: true }))
    .prefault([])
    .describe(
      'Server names (SNI) that the route is for; the most specific wins. Empty: every one, and clients that send none.',
    ),
  backendRefs: backendRefs(),
});

export const tcpRouteSchema = z.strictObject({
  name: objectName().describe('Unique among TCP routes.'),
  parentRefs: parentRefs('tcp'),
  backendRefs: backendRefs(),
});

export type TlsRouteFields = z.infer<typeof tlsRouteSchema>;
export type TcpRouteFields = z.infer<typeof tcpRouteSchema>;
