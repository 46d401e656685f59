/** The peers with nothing between them, so that what fails through a proxy is the proxy's. */
import { test } from 'node:test';
import { everyPair, skip, withServers } from './pairs.ts';

test('gRPC peers meet without a proxy', { skip }, (t) =>
  withServers({}, (servers) =>
    everyPair(t, servers, (name) => ({ port: servers.get(name)?.port as number }), false),
  ),
);
