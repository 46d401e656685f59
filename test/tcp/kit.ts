/** What tests of TCP and of TLS passed through share: configurations, clients that end as told, cuts. */
import assert from 'node:assert/strict';
import { connect as dial } from 'node:net';
import type { TestProxy } from '../kit/proxy.ts';
import { type RawBackend, RawClient } from '../kit/raw.ts';

export interface Parts {
  readonly listener?: string;
  readonly service?: string;
}

/** One TCP listener, one service and the route in between. */
export function tcpService(ports: readonly number[], { listener = '', service = '' }: Parts = {}): string {
  return `
listeners:
  - { name: db, address: 127.0.0.1:0, protocol: tcp${inside(listener)} }
tcpRoutes:
  - { name: db, backendRefs: [{ name: a }] }
services:
  - { name: a, protocol: tcp, endpoints: ${endpointsOf(ports)}${inside(service)} }
`;
}

export function endpointsOf(ports: readonly number[]): string {
  return `[${ports.map((port) => `{ address: 127.0.0.1:${port} }`).join(', ')}]`;
}

export function inside(text: string): string {
  return text === '' ? '' : `, ${text}`;
}

/** A client through the proxy, and the endpoint's side of its connection. */
export async function pair(
  proxy: TestProxy,
  backend: RawBackend,
  index = backend.accepted.length,
): Promise<{ readonly client: RawClient; readonly server: RawClient }> {
  const client = await RawClient.connect(proxy.port);
  return { client, server: await backend.connection(index) };
}

/** Resolves with how a connection ended that the proxy is to refuse; it may be reset before its connect is known. */
export async function refusal(port: number, bytes: string | Buffer = ''): Promise<string> {
  const socket = dial({ host: '127.0.0.1', port });
  let ended = 'closed';
  socket.on('error', (error: NodeJS.ErrnoException) => {
    ended = error.code ?? error.message;
  });
  socket.on('data', () => {
    ended = 'answered';
  });
  if (bytes.length > 0) socket.write(bytes);
  await new Promise((resolve) => socket.on('close', resolve));
  return ended;
}

export function isReset(client: RawClient): boolean {
  return client.closed && client.error?.code === 'ECONNRESET';
}

/** The handshake message of a hello in records of so many bytes. */
export function inRecords(hello: Buffer, recordBytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 5; at < hello.length; at += recordBytes) {
    const body = hello.subarray(at, at + recordBytes);
    const head = Buffer.from([22, 3, 1, 0, 0]);
    head.writeUInt16BE(body.length, 3);
    parts.push(head, body);
  }
  return Buffer.concat(parts);
}

/** A generator of numbers in [0, below), by its seed. */
export function seeded(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** `bytes` cut at random places, none empty. */
export function cuts(bytes: Buffer, random: (below: number) => number): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + random(random(2) === 0 ? 4 : bytes.length - at);
    parts.push(bytes.subarray(at, Math.min(end, bytes.length)));
    at = end;
  }
  assert.equal(Buffer.concat(parts).compare(bytes), 0);
  return parts;
}
