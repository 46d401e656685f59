/**
 * Proxies that do less, for scale: nginx and HAProxy with routing by hostname, keep-alive to the backend and an access
 * log, and http-proxy on Node. They have no breakers, outlier detection, retries by policy or traces here, so their
 * figures say what a bare hop costs, not what a mesh does.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NGINX_USER } from './backend.ts';
import type { ProxySpec } from './spec.ts';

const HTTP_PROXY = fileURLToPath(new URL('../load/http-proxy.ts', import.meta.url));

/** nginx and HAProxy want certificate and key in one file or side by side; `pemFile` holds both. */
export interface BaselineSpec extends ProxySpec {
  readonly pemFile: string;
}

export const baselineLog = (spec: ProxySpec, name: string): string => join(spec.directory, `${name}.log`);

export function nginxCommand(nginx: string, spec: BaselineSpec): string[] {
  const { directory, services, tls } = spec;
  const file = join(directory, 'nginx-proxy.conf');
  const upstreams = services.map(
    ({ name, ports }) =>
      `upstream ${name} { least_conn; ${ports.map((port) => `server 127.0.0.1:${port};`).join(' ')} keepalive 64; }`,
  );
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${directory}/np-${kind};`)
    .join('\n  ');
  const listens = spec.listeners.map(
    ({ port, tls: isTls }) => `listen 127.0.0.1:${port}${isTls ? ' ssl' : ''};`,
  );
  writeFileSync(
    file,
    `${NGINX_USER}
daemon off;
worker_processes 1;
pid ${directory}/nginx-proxy.pid;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
  ${temp}
  access_log ${baselineLog(spec, 'nginx')} combined buffer=64k flush=1s;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 64m;
  map_hash_bucket_size 128;
  map $host $service { ${services.map(({ name, hostname }) => `${hostname ?? 'default'} ${name};`).join(' ')} }
  ${upstreams.join('\n  ')}
  server {
    ${listens.join('\n    ')}
    ssl_certificate ${tls.certFile};
    ssl_certificate_key ${tls.keyFile};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:10m;
    proxy_request_buffering off;
    proxy_buffering on;
    proxy_max_temp_file_size 0;
    location / {
      proxy_pass http://$service;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`,
  );
  return [nginx, '-p', directory, '-c', file, '-e', 'stderr'];
}

export function haproxyCommand(haproxy: string, spec: BaselineSpec): string[] {
  const file = join(spec.directory, 'haproxy.cfg');
  const map = join(spec.directory, 'haproxy.map');
  writeFileSync(map, spec.services.map(({ name, hostname }) => `${hostname} ${name}\n`).join(''));
  const binds = spec.listeners.map(
    ({ port, tls }) => `  bind 127.0.0.1:${port}${tls ? ` ssl crt ${spec.pemFile} ssl-min-ver TLSv1.2` : ''}`,
  );
  const backends = spec.services.map(
    ({ name, ports }) =>
      `backend ${name}\n  balance leastconn\n  http-reuse always\n${ports.map((port, i) => `  server s${i} 127.0.0.1:${port}\n`).join('')}`,
  );
  writeFileSync(
    file,
    `
global
  nbthread 1
  maxconn 4096
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option forwardfor
  retries 2
  timeout client 1h
  timeout server 15s
  timeout connect 1s
  timeout http-keep-alive 1h
frontend bench
${binds.join('\n')}
  use_backend %[req.hdr(host),field(1,:),lower,map(${map})]
${backends.join('')}`,
  );
  return ['sh', '-c', `exec "$0" -db -f "$1" >"$2"`, haproxy, file, baselineLog(spec, 'haproxy')];
}

export function httpProxyCommand(spec: BaselineSpec): string[] {
  const file = join(spec.directory, 'http-proxy.json');
  const { listeners, services, tls } = spec;
  writeFileSync(file, JSON.stringify({ listeners, services, tls, log: baselineLog(spec, 'http-proxy') }));
  return [process.execPath, HTTP_PROXY, file];
}
