/** Every client with every server: the cases of cases.ts over whatever ports a way through gives. */
import type { TestContext } from 'node:test';
import { CASES, type Scene } from './cases.ts';
import { goStack } from './go-stack.ts';
import { jsStack } from './js-stack.ts';
import type { ClientOptions, GrpcServer, ServerOptions, Stack } from './service.ts';

export const STACKS: readonly Stack[] = [goStack, jsStack];
export const skip = STACKS.map((stack) => stack.skip).find((reason) => reason !== false) ?? false;

/** Runs `use` with a server of each stack, by the stack's name. */
export async function withServers<T>(
  options: ServerOptions,
  use: (servers: ReadonlyMap<string, GrpcServer>) => Promise<T>,
): Promise<T> {
  const servers = new Map<string, GrpcServer>();
  try {
    for (const stack of STACKS) servers.set(stack.name, await stack.serve(options));
    return await use(servers);
  } finally {
    for (const server of servers.values()) await server.close();
  }
}

export async function withServer<T>(
  stack: Stack,
  use: (server: GrpcServer) => Promise<T>,
  options: ServerOptions = {},
): Promise<T> {
  const server = await stack.serve(options);
  try {
    return await use(server);
  } finally {
    await server.close();
  }
}

/** A call that hangs is to be told by its case's name. */
const CASE_MS = 30_000;

/** Names of calls, which servers count attempts by, are used once. */
let calls = 0;

/** The cases between every client and every server; `where` is the port (and TLS) that leads to a server. */
export async function everyPair(
  t: TestContext,
  servers: ReadonlyMap<string, GrpcServer>,
  where: (server: string) => ClientOptions,
  proxied: boolean,
): Promise<void> {
  for (const stack of STACKS) {
    for (const [name, server] of servers) {
      await t.test(`${stack.name}'s client, ${name}'s server`, async (pair) => {
        const client = await stack.connect(where(name));
        const scene: Scene = {
          client,
          server,
          proxied,
          call(spec) {
            const call = `call-${++calls}`;
            return Object.assign(client.start(call, spec), { name: call });
          },
        };
        pair.after(() => client.close());
        for (const each of CASES) {
          if (each.proxied && !proxied) continue;
          await pair.test(each.name, { timeout: CASE_MS }, () => each.run(scene));
        }
      });
    }
  }
}
