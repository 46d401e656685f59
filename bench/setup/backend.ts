/**
 * The application behind the proxies: nginx, because it must never be the slow part. Ten ports, so that services have
 * endpoints to choose among. `/64` answers from memory; `/10k` and `/1m` are files that stay open; `/upload` reads the
 * whole body before it answers (a static answer would come before the body, and a proxy that then stops reading would
 * look fast). `/v1/traces` on the collector's port swallows OTLP.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const BACKEND_PORTS = 10;

/** Started by root, nginx would hand its workers to a user who can't enter the run's directory. */
export const NGINX_USER = process.getuid?.() === 0 ? 'user root root;' : '';

export interface BackendSpec {
  readonly directory: string;
  readonly ports: readonly number[];
  readonly collectorPort: number;
}

/** Writes the configuration and the files served; the command that runs it. */
export function backendCommand(nginx: string, spec: BackendSpec): string[] {
  const { directory } = spec;
  const root = join(directory, 'www');
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, '10k'), 'x'.repeat(10_240));
  writeFileSync(join(root, '1m'), 'x'.repeat(1_048_576));
  const file = join(directory, 'nginx.conf');
  writeFileSync(file, backendConfig(spec));
  return [nginx, '-p', directory, '-c', file, '-e', 'stderr'];
}

/** The application that speaks HTTP/2: nghttpd, a fifth of nginx's cost there. `/64` alone; one process for each port. */
export function http2BackendCommand(nghttpd: string, directory: string, port: number): string[] {
  const root = join(directory, 'www-http2');
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, '64'), 'x'.repeat(64));
  return [
    nghttpd,
    '--no-tls',
    '--workers=1',
    '--max-concurrent-streams=1024',
    '--address=127.0.0.1',
    `--htdocs=${root}`,
    String(port),
  ];
}

export function backendConfig({ directory, ports, collectorPort }: BackendSpec): string {
  const discard = `unix:${directory}/discard.sock`;
  return `${NGINX_USER}
daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
  access_log off;
  default_type application/octet-stream;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 64m;
  client_body_buffer_size 2m;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16;
  open_file_cache_valid 1h;
  upstream discard { server ${discard}; keepalive 16; }
  server { listen ${discard}; location / { return 204; } }
  server {
    ${ports.map((port) => `listen 127.0.0.1:${port} backlog=4096;`).join('\n    ')}
    root ${directory}/www;
    location = /64 { return 200 "${'x'.repeat(64)}"; }
    location = /upload {
      proxy_pass http://discard;
      proxy_http_version 1.1;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header Connection "";
    }
  }
  server {
    listen 127.0.0.1:${collectorPort};
    location / { return 200 "{}"; }
  }
}
`;
}
