/** The http-proxy library as a proxy of its own, for scale: routing by hostname, keep-alive, an access log. */
import { createWriteStream, readFileSync } from 'node:fs';
import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import httpProxy from 'http-proxy';
import type { ListenerSpec, ServiceSpec, TlsFiles } from '../setup/spec.ts';

const { listeners, services, tls, log } = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as {
  listeners: readonly ListenerSpec[];
  services: readonly ServiceSpec[];
  tls: TlsFiles;
  log: string;
};

const lines = createWriteStream(log, { flags: 'a' });
const targets = new Map(services.map(({ hostname, ports }) => [hostname, { ports, next: 0 }]));
const proxy = httpProxy.createProxyServer({
  agent: new Agent({ keepAlive: true, maxSockets: 1024 }),
  xfwd: true,
});

function serve(request: IncomingMessage, response: ServerResponse): void {
  const host = (request.headers.host ?? '').split(':', 1)[0] ?? '';
  const service = targets.get(host);
  if (service === undefined) {
    response.writeHead(404).end();
    return;
  }
  const started = performance.now();
  response.once('close', () => {
    const line = { method: request.method, path: request.url, host, status: response.statusCode };
    lines.write(`${JSON.stringify({ ...line, duration: Math.round(performance.now() - started) })}\n`);
  });
  const port = service.ports[service.next++ % service.ports.length];
  proxy.web(request, response, { target: { host: '127.0.0.1', port: port as number } }, () => {
    if (!response.headersSent) response.writeHead(502);
    response.end();
  });
}

const credentials = { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) };
for (const { port, tls: isTls } of listeners) {
  const server = isTls ? createTlsServer(credentials, serve) : createServer(serve);
  server.keepAliveTimeout = 3_600_000;
  server.listen(port, '127.0.0.1');
}
