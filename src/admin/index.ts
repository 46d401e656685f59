/** admin: the management API over HTTP. It asks an `AdminApi`, which the supervisor implements. */

export { AdminError } from './answer.ts';
export type {
  AdminApi,
  CallerView,
  ClusterView,
  ConfigView,
  EndpointView,
  GaugeView,
  OverloadActionView,
  OverloadResourceView,
  OverloadView,
  RateLimitView,
  Readiness,
  TraceQuery,
  TraceView,
  WorkerView,
} from './api.ts';
export { type AdminOptions, type AdminServer, startAdmin } from './server.ts';
