/** gRPC through the real process: every client with every server, in plain, and over TLS on both sides. */
import { test } from 'node:test';
import { certFiles, SERVER_NAME } from '../../kit/cert-files.ts';
import { withNode } from '../../kit/node.ts';
import { freePort } from '../../kit/proxy.ts';
import { everyPair, skip, withServers } from './pairs.ts';
import type { GrpcServer } from './service.ts';

/** A listener for each server; `listener` and `service` are further fields of theirs. */
async function configuration(
  servers: ReadonlyMap<string, GrpcServer>,
  listener: string,
  service: string,
): Promise<{ yaml: string; ports: Map<string, number> }> {
  const listeners: string[] = [];
  const routes: string[] = [];
  const services: string[] = [];
  const ports = new Map<string, number>();
  for (const [name, { port }] of servers) {
    const own = await freePort();
    ports.set(name, own);
    listeners.push(`  - { name: ${name}, address: 127.0.0.1:${own}${listener} }`);
    routes.push(
      `  - name: ${name}`,
      `    parentRefs: [{ sectionName: ${name} }]`,
      `    rules: [{ backendRefs: [{ name: ${name} }], retry: { attempts: 3, retryOn: [unavailable] } }]`,
    );
    services.push(
      `  - { name: ${name}, protocol: grpc, endpoints: [{ address: 127.0.0.1:${port} }]${service} }`,
    );
  }
  return {
    yaml: ['listeners:', ...listeners, 'routes:', ...routes, 'services:', ...services, 'workers: 2'].join(
      '\n',
    ),
    ports,
  };
}

test('gRPC through the proxy, in plain', { skip }, (t) =>
  withServers({}, async (servers) => {
    const { yaml, ports } = await configuration(servers, '', '');
    const where = (name: string) => ({ port: ports.get(name) as number });
    await withNode(yaml, () => everyPair(t, servers, where, true));
  }),
);

test('gRPC through the proxy, over TLS on both sides', { skip }, (t) => {
  const files = certFiles();
  const { caFile, certFile, keyFile } = files;
  return withServers({ tls: files }, async (servers) => {
    const { yaml, ports } = await configuration(
      servers,
      `, tls: { certificates: [{ certFile: ${certFile}, keyFile: ${keyFile} }] }`,
      `, tls: { caFile: ${caFile}, sni: ${SERVER_NAME} }`,
    );
    const where = (name: string) => ({ port: ports.get(name) as number, tls: { caFile, name: SERVER_NAME } });
    await withNode(yaml, () => everyPair(t, servers, where, true));
  });
});
