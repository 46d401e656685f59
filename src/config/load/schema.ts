/**
 * The whole configuration file. The definitions of this schema check files, fill in defaults, and become
 * the JSON Schema for editors and the tables of docs/CONFIGURATION.md.
 */
import { z } from 'zod';
import { callersSchema } from './callers.ts';
import { tcpRouteSchema, tlsRouteSchema } from './l4-route-schema.ts';
import {
  accessLogSchema,
  adminSchema,
  drainSchema,
  listenerSchema,
  nodeLabelsSchema,
  nodeLocalitySchema,
  tracingSchema,
  workersSchema,
} from './node-schema.ts';
import { overloadManagerSchema } from './overload-manager.ts';
import { routeSchema } from './route-schema.ts';
import { serviceSchema } from './service-schema.ts';

export const configSchema = z.strictObject({
  listeners: z.array(listenerSchema).prefault([]).describe('Where clients connect.'),
  routes: z.array(routeSchema).prefault([]).describe('What is done with their requests.'),
  tlsRoutes: z
    .array(tlsRouteSchema)
    .prefault([])
    .describe('Where TLS connections go that are passed through, by server name.'),
  tcpRoutes: z.array(tcpRouteSchema).prefault([]).describe('Where TCP connections go.'),
  services: z.array(serviceSchema).prefault([]).describe('Who answers them.'),
  callers: callersSchema
    .prefault({})
    .describe(
      'What a single caller may hold of the node. A caller is a source address, of public IPv6 a network.',
    ),
  tracing: tracingSchema.prefault({}).describe('Traces.'),
  accessLog: accessLogSchema.optional().describe('One JSON line per request. Absent: none.'),
  admin: adminSchema.prefault({}).describe('The management server.'),
  locality: nodeLocalitySchema(),
  labels: nodeLabelsSchema(),
  overloadManager: overloadManagerSchema
    .optional()
    .describe('What is done when the node is near its limits. Absent: nothing is watched.'),
  workers: workersSchema(),
  drainTimeout: drainSchema(),
});

export type ConfigFields = z.infer<typeof configSchema>;
