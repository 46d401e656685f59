/**
 * Envoy's bootstrap for a spec, as near to what Istio gives a sidecar as upstream Envoy allows: paths normalised, XFF
 * appended, retries that avoid the previous host, exact breakers' numbers, outlier detection, JSON access log, and the
 * OpenTelemetry tracer over HTTP. One thread (`--concurrency 1`). Istio's own statistics filter is not in upstream
 * Envoy, so Envoy does a little less here than in a mesh.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TLS_NAME, TLS_URI } from './certificates.ts';
import { ACCESS_LOG_FIELDS } from './envoy-log.ts';
import { type ListenerSpec, POLICY, type ProxySpec, type ServiceSpec } from './spec.ts';

type Json = Record<string, unknown>;
const TYPE = 'type.googleapis.com/envoy.extensions';
const COLLECTOR = 'collector';
const ROUTES = 'services';

export function envoyConfig(spec: ProxySpec): Json {
  return {
    node: { id: 'bench', cluster: 'bench' },
    admin: { address: loopback(spec.adminPort) },
    static_resources: {
      listeners: spec.listeners.map((listener) => listenerOf(spec, listener)),
      clusters: [...spec.services.map((service) => clusterOf(spec, service)), collectorCluster(spec)],
    },
  };
}

export const envoyLog = (spec: ProxySpec): string => join(spec.directory, 'envoy.log');

/** Writes the bootstrap; the command that runs it. */
export function envoyCommand(envoy: string, spec: ProxySpec): string[] {
  const file = join(spec.directory, 'envoy.json');
  writeFileSync(file, JSON.stringify(envoyConfig(spec)));
  if (spec.changing) writeFileSync(envoyRoutesFile(spec), JSON.stringify(envoyRoutes(spec, 0)));
  return [envoy, '-c', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warn'];
}

function listenerOf(spec: ProxySpec, listener: ListenerSpec): Json {
  return {
    name: listener.name,
    address: loopback(listener.port),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: connectionManager(spec, listener),
          },
        ],
        ...(listener.tls ? { transport_socket: downstreamTls(spec, listener.mutual) } : {}),
      },
    ],
  };
}

function connectionManager(spec: ProxySpec, listener: ListenerSpec): Json {
  return {
    '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: listener.name,
    codec_type: 'AUTO',
    use_remote_address: true,
    normalize_path: true,
    ...routing(spec),
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` },
      },
    ],
    access_log: [
      {
        name: 'envoy.access_loggers.file',
        typed_config: {
          '@type': `${TYPE}.access_loggers.file.v3.FileAccessLog`,
          path: envoyLog(spec),
          log_format: { json_format: { ...ACCESS_LOG_FIELDS, listener: listener.name } },
        },
      },
    ],
    tracing: {
      random_sampling: { value: POLICY.samplingPercent },
      provider: {
        name: 'envoy.tracers.opentelemetry',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig',
          service_name: 'bench',
          http_service: {
            http_uri: {
              uri: `http://127.0.0.1:${spec.collectorPort}/v1/traces`,
              cluster: COLLECTOR,
              timeout: '1s',
            },
          },
        },
      },
    },
  };
}

/** Routes in the bootstrap, or in a file that Envoy watches where they are to change while it runs. */
function routing(spec: ProxySpec): Json {
  if (!spec.changing) return { route_config: { name: ROUTES, virtual_hosts: virtualHosts(spec) } };
  const config_source = {
    resource_api_version: 'V3',
    path_config_source: { path: envoyRoutesFile(spec) },
  };
  return { rds: { route_config_name: ROUTES, config_source } };
}

/** Envoy notices a rename over the file, not a write into it. */
export const envoyRoutesFile = (spec: ProxySpec): string => join(spec.directory, 'envoy-routes.json');

export function envoyRoutes(spec: ProxySpec, version: number): Json {
  return {
    version_info: String(version),
    resources: [
      {
        '@type': 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
        name: ROUTES,
        virtual_hosts: virtualHosts(spec),
      },
    ],
  };
}

function virtualHosts(spec: ProxySpec): Json[] {
  const perTry = spec.retry.perTryTimeoutMs;
  return spec.services.map(({ name, hostname, protocol }) => ({
    name,
    domains: hostname === null ? ['*'] : [hostname, `${hostname}:*`],
    routes: [
      {
        name,
        match: { prefix: '/' },
        route: {
          cluster: name,
          timeout: `${POLICY.requestTimeoutMs / 1e3}s`,
          // As Istio has it: the caller's grpc-timeout is kept to.
          ...(protocol === 'grpc' ? { max_stream_duration: { grpc_timeout_header_max: '0s' } } : {}),
          retry_policy: {
            retry_on: spec.retry.on.join(','),
            num_retries: POLICY.retries,
            retriable_status_codes: [503],
            ...(perTry === null ? {} : { per_try_timeout: `${perTry / 1e3}s` }),
            retry_host_predicate: [
              {
                name: 'envoy.retry_host_predicates.previous_hosts',
                typed_config: {
                  '@type': `${TYPE}.retry.host.previous_hosts.v3.PreviousHostsPredicate`,
                },
              },
            ],
            host_selection_retry_max_attempts: 5,
          },
        },
      },
    ],
  }));
}

function clusterOf(spec: ProxySpec, service: ServiceSpec): Json {
  return {
    name: service.name,
    type: 'STATIC',
    lb_policy: 'LEAST_REQUEST',
    connect_timeout: `${POLICY.connectTimeoutMs / 1e3}s`,
    load_assignment: assignment(service.name, service.ports),
    circuit_breakers: {
      thresholds: [
        {
          max_connections: POLICY.maxConnections,
          max_pending_requests: POLICY.maxPendingRequests,
          max_requests: POLICY.maxRequests,
          retry_budget: { budget_percent: { value: POLICY.retryBudgetPercent }, min_retry_concurrency: 3 },
        },
      ],
    },
    outlier_detection: {
      consecutive_5xx: POLICY.consecutive5xxErrors,
      consecutive_gateway_failure: POLICY.consecutive5xxErrors,
      enforcing_consecutive_gateway_failure: 100,
      enforcing_success_rate: 0,
      interval: `${POLICY.outlierIntervalS}s`,
      base_ejection_time: `${POLICY.baseEjectionS}s`,
      max_ejection_percent: POLICY.maxEjectionPercent,
    },
    ...(spec.upstreamTls ? { transport_socket: upstreamTls(spec) } : {}),
    ...(service.protocol === 'http' ? {} : { typed_extension_protocol_options: HTTP2 }),
  };
}

/** HTTP/2 to every endpoint, known beforehand; Envoy's own limits, as Istio leaves them. */
const HTTP2: Json = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': `${TYPE}.upstreams.http.v3.HttpProtocolOptions`,
    explicit_http_config: { http2_protocol_options: {} },
  },
};

function collectorCluster(spec: ProxySpec): Json {
  return {
    name: COLLECTOR,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: assignment(COLLECTOR, [spec.collectorPort]),
  };
}

function assignment(name: string, ports: readonly number[]): Json {
  const endpoints = ports.map((port) => ({ endpoint: { address: loopback(port) } }));
  return { cluster_name: name, endpoints: [{ lb_endpoints: endpoints }] };
}

function downstreamTls(spec: ProxySpec, mutual: boolean): Json {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
      require_client_certificate: mutual,
      common_tls_context: {
        alpn_protocols: ['h2', 'http/1.1'],
        tls_params: { tls_minimum_protocol_version: 'TLSv1_2', tls_maximum_protocol_version: 'TLSv1_3' },
        tls_certificates: certificates(spec),
        ...(mutual ? { validation_context: { trusted_ca: { filename: spec.tls.caFile } } } : {}),
      },
    },
  };
}

function upstreamTls(spec: ProxySpec): Json {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${TYPE}.transport_sockets.tls.v3.UpstreamTlsContext`,
      sni: TLS_NAME,
      common_tls_context: {
        alpn_protocols: ['http/1.1'],
        tls_certificates: certificates(spec),
        validation_context: {
          trusted_ca: { filename: spec.tls.caFile },
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: TLS_URI } }],
        },
      },
    },
  };
}

function certificates(spec: ProxySpec): Json[] {
  return [
    { certificate_chain: { filename: spec.tls.certFile }, private_key: { filename: spec.tls.keyFile } },
  ];
}

function loopback(port: number): Json {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}
