/**
 * The PROXY protocol beside those who speak it: HAProxy and Envoy in front of this proxy; nginx, HAProxy and Envoy behind it. Each
 * is told who the client is, or tells.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startEnvoy } from '../kit/envoy.ts';
import { peer } from '../kit/peers.ts';
import { whileListening } from '../kit/program.ts';
import { freePort, until, withProxy } from '../kit/proxy.ts';
import { httpBackend, oneService, RawClient } from '../kit/raw.ts';

const nginx = peer('nginx');
const haproxy = peer('haproxy');
const envoy = peer('envoy');

function fileOf(t: TestContext, content: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'outboard-proxy-protocol-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'config');
  writeFileSync(file, content);
  return file;
}

/** Asks on a connection of its own. Resolves with the whole answer, and the port that the client had. */
async function get(port: number): Promise<{ readonly text: string; readonly localPort: number }> {
  const client = await RawClient.connect(port);
  const localPort = client.socket.localPort ?? 0;
  const text = await client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').untilEnd();
  client.destroy();
  return { text, localPort };
}

const LISTENER = 'proxyProtocol: { trustedProxies: [127.0.0.1] }';

/** Tells who asked, as this proxy passes it on. */
const telling = () =>
  httpBackend((request, response) => {
    const { 'x-forwarded-for': address, 'x-forwarded-port': port } = request.headers;
    response.end(`${address} ${port}`);
  });

const MODE = `
global
  log stdout format raw local0 emerg
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
`;

for (const send of ['send-proxy', 'send-proxy-v2', 'send-proxy-v2-ssl']) {
  test(`HAProxy in front: ${send}`, { skip: haproxy.skip }, async (t) => {
    const backend = await telling();
    await withProxy(oneService([backend.port], { listener: LISTENER }), async (proxy) => {
      const port = await freePort();
      const config = `${MODE}
frontend f
  mode tcp
  bind 127.0.0.1:${port}
  default_backend b
backend b
  mode tcp
  server s 127.0.0.1:${proxy.port} ${send}
`;
      await whileListening(haproxy.path as string, ['-db', '-f', fileOf(t, config)], port, async () => {
        const { text } = await get(port);
        assert.ok(text.endsWith(`127.0.0.1 ${port}`), text);
        await until(() => proxy.connections === 0, 'every connection ended');
        const { text: again } = await get(port);
        assert.ok(again.endsWith(`127.0.0.1 ${port}`), again);
      });
    });
    await backend.close();
  });
}

const socket = (port: number): unknown => ({ socket_address: { address: '127.0.0.1', port_value: port } });
const TYPE = 'type.googleapis.com/envoy.extensions';

function envoyConfig(port: number, endpoint: number, listener: object, transport: unknown): unknown {
  return {
    static_resources: {
      listeners: [{ name: 'a', address: socket(port), ...listener }],
      clusters: [
        {
          name: 'a',
          type: 'STATIC',
          ...(transport === null ? {} : { transport_socket: transport }),
          load_assignment: {
            cluster_name: 'a',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(endpoint) } }] }],
          },
        },
      ],
    },
  };
}

for (const version of ['V1', 'V2'] as const) {
  test(`Envoy in front: ${version}`, { skip: envoy.skip }, async (t) => {
    const backend = await telling();
    await withProxy(oneService([backend.port], { listener: LISTENER }), async (proxy) => {
      const port = await freePort();
      const tcp = {
        filter_chains: [
          {
            filters: [
              {
                name: 'tcp',
                typed_config: {
                  '@type': `${TYPE}.filters.network.tcp_proxy.v3.TcpProxy`,
                  stat_prefix: 'a',
                  cluster: 'a',
                },
              },
            ],
          },
        ],
      };
      const transport = {
        name: 'envoy.transport_sockets.upstream_proxy_protocol',
        typed_config: {
          '@type': `${TYPE}.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
          config: { version },
          transport_socket: {
            name: 'raw',
            typed_config: { '@type': `${TYPE}.transport_sockets.raw_buffer.v3.RawBuffer` },
          },
        },
      };
      const config = envoyConfig(port, proxy.port, tcp, transport);
      const running = await startEnvoy(envoy.path as string, config, port);
      t.after(() => running.stop());
      const { text } = await get(port);
      assert.ok(text.endsWith(`127.0.0.1 ${port}`), text);
    });
    await backend.close();
  });
}

for (const version of ['v1', 'v2'] as const) {
  const service = `proxyProtocol: ${version}`;

  test(`nginx behind: ${version}`, { skip: nginx.skip }, async (t) => {
    const port = await freePort();
    const directory = mkdtempSync(join(tmpdir(), 'outboard-nginx-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const config = `
daemon off;
master_process off;
pid ${directory}/pid;
error_log stderr crit;
events {}
http {
  access_log off;
  client_body_temp_path ${directory}; proxy_temp_path ${directory}; fastcgi_temp_path ${directory};
  uwsgi_temp_path ${directory}; scgi_temp_path ${directory};
  server {
    listen 127.0.0.1:${port} proxy_protocol;
    location / { return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port"; }
  }
}
`;
    await whileListening(nginx.path as string, ['-c', fileOf(t, config), '-p', directory], port, async () => {
      await withProxy(oneService([port], { service }), async (proxy) => {
        const { text, localPort } = await get(proxy.port);
        assert.ok(text.endsWith(`127.0.0.1 ${localPort} ${proxy.port}`), text);
      });
    });
  });

  test(`HAProxy behind: ${version}`, { skip: haproxy.skip }, async (t) => {
    const port = await freePort();
    const config = `${MODE}
frontend f
  bind 127.0.0.1:${port} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst_port]"
`;
    await whileListening(haproxy.path as string, ['-db', '-f', fileOf(t, config)], port, async () => {
      await withProxy(oneService([port], { service }), async (proxy) => {
        const { text, localPort } = await get(proxy.port);
        assert.ok(text.endsWith(`127.0.0.1 ${localPort} ${proxy.port}`), text);
      });
    });
  });

  test(`Envoy behind: ${version}`, { skip: envoy.skip }, async (t) => {
    const port = await freePort();
    const manager = {
      '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'a',
      use_remote_address: true,
      route_config: {
        virtual_hosts: [
          {
            name: 'a',
            domains: ['*'],
            routes: [{ match: { prefix: '/' }, direct_response: { status: 200 } }],
            response_headers_to_add: [
              { header: { key: 'x-client', value: '%DOWNSTREAM_REMOTE_ADDRESS%' } },
              { header: { key: 'x-port', value: '%DOWNSTREAM_LOCAL_PORT%' } },
            ],
          },
        ],
      },
      http_filters: [{ name: 'router', typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` } }],
    };
    const listener = {
      listener_filters: [
        {
          name: 'proxy',
          typed_config: { '@type': `${TYPE}.filters.listener.proxy_protocol.v3.ProxyProtocol` },
        },
      ],
      filter_chains: [{ filters: [{ name: 'h', typed_config: manager }] }],
    };
    const running = await startEnvoy(envoy.path as string, envoyConfig(port, 1, listener, null), port);
    t.after(() => running.stop());
    await withProxy(oneService([port], { service }), async (proxy) => {
      const { text, localPort } = await get(proxy.port);
      assert.match(text, new RegExp(`x-client: 127\\.0\\.0\\.1:${localPort}\r\n`));
      assert.match(text, new RegExp(`x-port: ${proxy.port}\r\n`));
    });
  });
}
