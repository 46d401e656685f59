/**
 * The counters of a service, a listener, a worker and a rate limit: key in the code, name on `/metrics`, meaning, and labels
 * where several cells share a name. A counter's place in its table is its place in a block of cells.
 */

/** Rows of one name follow each other; the first one's help counts. */
export type Row<Key extends string> = readonly [
  key: Key,
  name: string,
  help: string,
  labels?: Readonly<Record<string, string>>,
];

export const SERVICE_ROWS = [
  [
    'upstreamRqTotal',
    'upstream_rq_total',
    'Requests sent to endpoints, retries included; counted when the request ends.',
  ],
  [
    'upstreamRqCompleted',
    'upstream_rq_completed',
    'Requests answered, each once however many attempts it took.',
  ],
  ['upstreamRq1xx', 'upstream_rq_xx', 'Answers by class of status code.', { envoy_response_code_class: '1' }],
  ['upstreamRq2xx', 'upstream_rq_xx', '', { envoy_response_code_class: '2' }],
  ['upstreamRq3xx', 'upstream_rq_xx', '', { envoy_response_code_class: '3' }],
  ['upstreamRq4xx', 'upstream_rq_xx', '', { envoy_response_code_class: '4' }],
  ['upstreamRq5xx', 'upstream_rq_xx', '', { envoy_response_code_class: '5' }],
  ['upstreamRqRetry', 'upstream_rq_retry', 'Attempts that were retries.'],
  ['upstreamRqRetrySuccess', 'upstream_rq_retry_success', 'Requests that succeeded by a retry.'],
  [
    'upstreamRqRetryOverflow',
    'upstream_rq_retry_overflow',
    'Retries not made because the retry budget or maxRetries was used up.',
  ],
  [
    'upstreamRqRetryLimitExceeded',
    'upstream_rq_retry_limit_exceeded',
    'Retries not made because the attempts of the route were used up.',
  ],
  [
    'upstreamRqRetryBackoffExponential',
    'upstream_rq_retry_backoff_exponential',
    'Retries that waited by exponential backoff.',
  ],
  [
    'upstreamRqRetryBackoffRatelimited',
    'upstream_rq_retry_backoff_ratelimited',
    'Retries that waited as long as the answer asked for.',
  ],
  ['upstreamRqHedge', 'upstream_rq_hedge', 'Attempts that began beside one that was slow.'],
  ['upstreamRqHedgeSuccess', 'upstream_rq_hedge_success', 'Of these, the ones that answered the request.'],
  [
    'upstreamRqHedgeOverflow',
    'upstream_rq_hedge_overflow',
    'Hedges not made because hedging.maxExtraPercent was used up.',
  ],
  ['ratelimitOk', 'ratelimit_ok', 'Requests that the rate limit service let through.'],
  [
    'ratelimitOverLimit',
    'ratelimit_over_limit',
    'Requests that the rate limit service found to be over a limit.',
  ],
  ['ratelimitError', 'ratelimit_error', 'Requests about which the rate limit service gave no answer.'],
  [
    'ratelimitFailureModeAllowed',
    'ratelimit_failure_mode_allowed',
    'Of those without its answer, those that were let through.',
  ],
  [
    'retryOrShadowAbandoned',
    'retry_or_shadow_abandoned',
    'Retries not made because the request body was larger than the replay buffer, and mirrored requests that were not sent, or not whole.',
  ],
  ['upstreamRqShadow', 'upstream_rq_shadow', 'Mirrored requests that came to the service.'],
  ['upstreamRqTimeout', 'upstream_rq_timeout', 'Requests that ran into timeouts.request.'],
  [
    'upstreamRqPerTryTimeout',
    'upstream_rq_per_try_timeout',
    'Attempts that ran into timeouts.backendRequest.',
  ],
  [
    'upstreamRqPendingOverflow',
    'upstream_rq_pending_overflow',
    'Requests refused by the circuit breakers for pending requests and requests.',
  ],
  [
    'upstreamRqRxReset',
    'upstream_rq_rx_reset',
    'Attempts that the endpoint ended without a complete answer.',
  ],
  [
    'upstreamRqTxReset',
    'upstream_rq_tx_reset',
    'Attempts that were given up by the proxy after they were sent.',
  ],
  ['upstreamCxNoneHealthy', 'upstream_cx_none_healthy', 'Attempts that found no healthy endpoint.'],
  ['upstreamCxConnectFail', 'upstream_cx_connect_fail', 'Connections that could not be established.'],
  [
    'upstreamCxConnectTimeout',
    'upstream_cx_connect_timeout',
    'Connections not established within connectTimeout.',
  ],
  ['upstreamCxTotal', 'upstream_cx_total', 'Connections begun, those that failed to connect included.'],
  ['upstreamCxHttp1Total', 'upstream_cx_http1_total', 'HTTP/1.1 connections opened.'],
  ['upstreamCxHttp2Total', 'upstream_cx_http2_total', 'HTTP/2 connections opened.'],
  [
    'upstreamCxMaxDurationReached',
    'upstream_cx_max_duration_reached',
    'Connections closed because they were older than maxConnectionAge.',
  ],
  [
    'upstreamHttp2KeepaliveTimeout',
    'http2_keepalive_timeout',
    'HTTP/2 connections closed because a ping was not answered within http2.keepaliveTimeout.',
  ],
  ['upstreamCxDestroy', 'upstream_cx_destroy', 'Connections closed, those that failed to connect included.'],
  ['upstreamCxDestroyLocal', 'upstream_cx_destroy_local', 'Connections closed by the proxy.'],
  ['upstreamCxDestroyRemote', 'upstream_cx_destroy_remote', 'Connections closed by the endpoint.'],
  [
    'upstreamCxDestroyWithActiveRq',
    'upstream_cx_destroy_with_active_rq',
    'Connections closed while a request was active.',
  ],
  [
    'upstreamCxDestroyLocalWithActiveRq',
    'upstream_cx_destroy_local_with_active_rq',
    'The same, closed by the proxy.',
  ],
  [
    'upstreamCxDestroyRemoteWithActiveRq',
    'upstream_cx_destroy_remote_with_active_rq',
    'The same, closed by the endpoint.',
  ],
  ['upstreamCxIdleTimeout', 'upstream_cx_idle_timeout', 'Connections closed because they were idle.'],
  [
    'upstreamCxProtocolError',
    'upstream_cx_protocol_error',
    'Connections closed because the endpoint broke the protocol.',
  ],
  ['upstreamRqPendingTotal', 'upstream_rq_pending_total', 'Requests that waited for a connection.'],
  [
    'lbHealthyPanic',
    'lb_healthy_panic',
    'Picks made while health was ignored because too few endpoints were healthy.',
  ],
  [
    'lbZoneRoutingAllDirectly',
    'lb_zone_routing_all_directly',
    'Picks in the own zone, where all requests may stay in it.',
  ],
  ['lbZoneRoutingSampled', 'lb_zone_routing_sampled', 'Picks in the own zone, where some requests may.'],
  ['lbZoneRoutingCrossZone', 'lb_zone_routing_cross_zone', 'Picks in other zones.'],
  ['lbSubsetsSelected', 'lb_subsets_selected', 'Picks from the subset that was asked for.'],
  [
    'lbSubsetsFallback',
    'lb_subsets_fallback',
    'Picks by subsetFallbackPolicy, because the subset has no endpoints.',
  ],
  ['statefulSessionRouted', 'stateful_session_routed', 'Picks of the endpoint of a session.'],
  [
    'statefulSessionFailedOpen',
    'stateful_session_failed_open',
    'Picks of another endpoint, because that of the session may not be used.',
  ],
  [
    'statefulSessionFailedClosed',
    'stateful_session_failed_closed',
    'Requests refused, because the endpoint of their session may not be used.',
  ],
  ['sslHandshake', 'ssl_handshake', 'TLS handshakes with endpoints.'],
  ['sslSessionReused', 'ssl_session_reused', 'TLS handshakes with endpoints that resumed a session.'],
  [
    'sslConnectionError',
    'ssl_connection_error',
    'TLS handshakes with endpoints that failed, certificate faults excluded.',
  ],
] as const satisfies readonly Row<string>[];

/** Bytes as the client sees them: received from it, sent to it. */
export const CONNECTION_ROWS = [
  ['opened', 'connections_opened_total', 'TCP connections that began to be carried.'],
  ['closed', 'connections_closed_total', 'TCP connections that ended.'],
  ['sent', 'sent_bytes_total', 'Bytes sent to clients over TCP connections.'],
  ['received', 'received_bytes_total', 'Bytes received from clients over TCP connections.'],
] as const satisfies readonly Row<string>[];

export const LISTENER_ROWS = [
  ['downstreamCxTotal', 'envoy_listener_downstream_cx_total', 'Connections accepted.'],
  ['downstreamCxDestroy', 'envoy_listener_downstream_cx_destroy', 'Connections ended.'],
  [
    'downstreamCxOverflow',
    'envoy_listener_downstream_cx_overflow',
    'Connections refused because maxConnections was reached.',
  ],
  [
    'callerOffences',
    'outboard_caller_offences_total',
    'Connections that ended by the fault of their caller.',
  ],
  [
    'downstreamCxOverloadReject',
    'envoy_listener_downstream_cx_overload_reject',
    'Connections closed at once because the node was overloaded.',
  ],
  [
    'downstreamCxStopsAccepting',
    'outboard_listener_stops_accepting_total',
    'Times that a worker stopped to listen, or reset those that waited to be accepted.',
  ],
  [
    'downstreamCxNoDescriptor',
    'outboard_listener_downstream_cx_no_descriptor_total',
    'Connections closed at once, or not accepted, because descriptors were used up.',
  ],
  [
    'downstreamHeaderTimeout',
    'envoy_listener_downstream_pre_cx_timeout',
    'Connections that did not complete detection or handshake in time.',
  ],
  ['sslHandshake', 'envoy_listener_ssl_handshake', 'TLS handshakes completed.'],
  ['sslSessionReused', 'envoy_listener_ssl_session_reused', 'TLS handshakes that resumed a session.'],
  [
    'sslConnectionError',
    'envoy_listener_ssl_connection_error',
    'TLS handshakes that failed, certificate faults excluded.',
  ],
  [
    'sslFailVerifyNoCert',
    'envoy_listener_ssl_fail_verify_no_cert',
    'Clients without the certificate that clientAuth requires.',
  ],
  [
    'sslFailVerifyError',
    'envoy_listener_ssl_fail_verify_error',
    'Client certificates that were not accepted.',
  ],
  [
    'sslNoCertificate',
    'envoy_listener_ssl_no_certificate',
    'TLS handshakes completed without a client certificate.',
  ],
  [
    'proxyProtoFoundV1',
    'envoy_proxy_proto_found',
    'Connections that began with a PROXY header.',
    { envoy_proxy_protocol_version: '1' },
  ],
  ['proxyProtoFoundV2', 'envoy_proxy_proto_found', '', { envoy_proxy_protocol_version: '2' }],
  [
    'proxyProtoNotFoundAllowed',
    'envoy_proxy_proto_not_found_allowed',
    'Connections that began without a PROXY header where it is optional.',
  ],
  [
    'proxyProtoRefused',
    'outboard_proxy_proto_refused_total',
    'Connections refused for their PROXY header, for want of one, or because their peer may send none.',
  ],
  [
    'downstreamRqTotal',
    'envoy_http_downstream_rq_total',
    'Requests, those refused included; counted when the request ends.',
  ],
  ['downstreamRqCompleted', 'envoy_http_downstream_rq_completed', 'Requests that were answered.'],
  [
    'downstreamRq1xx',
    'envoy_http_downstream_rq_xx',
    'Answers by class of status code.',
    { envoy_response_code_class: '1' },
  ],
  ['downstreamRq2xx', 'envoy_http_downstream_rq_xx', '', { envoy_response_code_class: '2' }],
  ['downstreamRq3xx', 'envoy_http_downstream_rq_xx', '', { envoy_response_code_class: '3' }],
  ['downstreamRq4xx', 'envoy_http_downstream_rq_xx', '', { envoy_response_code_class: '4' }],
  ['downstreamRq5xx', 'envoy_http_downstream_rq_xx', '', { envoy_response_code_class: '5' }],
  ['downstreamRqRxReset', 'envoy_http_downstream_rq_rx_reset', 'Requests that the client gave up.'],
  [
    'downstreamCxProtocolError',
    'envoy_http_downstream_cx_protocol_error',
    'Requests and connections refused because the client broke the protocol.',
  ],
  [
    'downstreamCxUpgradesTotal',
    'envoy_http_downstream_cx_upgrades_total',
    'Connections that were upgraded (WebSocket).',
  ],
  ['faultDelaysInjected', 'envoy_http_fault_delays_injected', 'Requests held up on purpose.'],
  ['faultAbortsInjected', 'envoy_http_fault_aborts_injected', 'Requests answered with a fault on purpose.'],
  [
    'faultResponseRlInjected',
    'envoy_http_fault_response_rl_injected',
    'Requests whose answer was slowed down on purpose.',
  ],
  ['corsOriginValid', 'envoy_http_cors_origin_valid', 'Requests of pages that may read the answer.'],
  ['corsOriginInvalid', 'envoy_http_cors_origin_invalid', 'Requests of pages that may not.'],
  ['downstreamCxHttp1Total', 'envoy_http_downstream_cx_http1_total', 'HTTP/1 connections.'],
  ['downstreamCxHttp2Total', 'envoy_http_downstream_cx_http2_total', 'HTTP/2 connections.'],
  ['http2RxReset', 'envoy_http2_rx_reset', 'Streams that clients reset.'],
  [
    'http2RxMessagingError',
    'envoy_http2_rx_messaging_error',
    'Streams that were reset because they broke a rule of HTTP/2.',
  ],
  [
    'http2StreamRefused',
    'envoy_http2_stream_refused_errors',
    'Streams refused because the client had as many open as it may, or after GOAWAY.',
  ],
  [
    'http2Flood',
    'outboard_http2_flood_total',
    'HTTP/2 connections cut off with ENHANCE_YOUR_CALM: too many frames that do nothing.',
  ],
  [
    'http2TxFlushTimeout',
    'envoy_http2_tx_flush_timeout',
    'Streams reset because the client did not take the end of an answer within the idle timeout.',
  ],
  ['http2GoawaySent', 'envoy_http2_goaway_sent', 'GOAWAY frames sent to clients.'],
] as const satisfies readonly Row<string>[];

export const WORKER_ROWS = [
  [
    'callerReadsHeld',
    'outboard_caller_reads_held_total',
    'Reads and TLS handshakes that waited because their caller had had its turn in that pass of the event loop.',
  ],
  [
    'spansDropped',
    'outboard_worker_spans_dropped_total',
    'Spans not handed over because too many batches were under way.',
  ],
  [
    'decisionsDropped',
    'outboard_worker_decisions_dropped_total',
    'Decision records not kept: too many in one second, or too many batches under way.',
  ],
  ['accessLogLines', 'outboard_access_log_lines_total', 'Access log lines written.'],
  [
    'accessLogDropped',
    'outboard_access_log_dropped_total',
    'Access log lines dropped because the buffer was full or the write failed.',
  ],
  ['accessLogErrors', 'outboard_access_log_errors_total', 'Writes of the access log that failed.'],
  [
    'seriesOverflow',
    'outboard_metric_series_overflow_total',
    'Recordings lost because this worker had as many series as allowed.',
  ],
  [
    'traceHeadersInvalid',
    'outboard_trace_headers_invalid_total',
    'Trace contexts of clients that were ignored because they were malformed.',
  ],
  [
    'requestIdsReplaced',
    'outboard_request_ids_replaced_total',
    'x-request-id values that were replaced because they were too long or not printable.',
  ],
] as const satisfies readonly Row<string>[];

export const LIMIT_ROWS = [
  ['enabled', 'envoy_http_local_rate_limit_enabled', 'Requests that met the limit.'],
  ['ok', 'envoy_http_local_rate_limit_ok', 'Of these, those for which it had a token.'],
  ['rateLimited', 'envoy_http_local_rate_limit_rate_limited', 'Of these, those for which it had none.'],
  ['enforced', 'envoy_http_local_rate_limit_enforced', 'Of those without a token, those that were refused.'],
  [
    'overflow',
    'outboard_rate_limit_overflow_total',
    'Requests whose key found no room in the table, so that the bucket that such keys share decided.',
  ],
] as const satisfies readonly Row<string>[];
