/** Servers and clients of `@grpc/grpc-js`, in the test's own process. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type ServiceError,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import {
  type CallResult,
  type CallSpec,
  type ClientOptions,
  digest,
  EventLog,
  type GrpcClient,
  type GrpcServer,
  MESSAGE_BYTES_MAX,
  METHODS,
  patience,
  pattern,
  type RunningCall,
  SERVICE,
  type ServerOptions,
  type Stack,
} from './service.ts';

export const jsStack: Stack = { name: 'grpc-js', skip: false, serve, connect };

const asIs = (bytes: Buffer): Buffer => bytes;
/** grpc.health.v1: an answer is field 1, an enum; the request's service name is not looked at. */
const SERVING = Buffer.from([0x08, 1]);
const NOT_SERVING = Buffer.from([0x08, 2]);

function definition(
  service: string,
  method: string,
  client: boolean,
  server: boolean,
): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/${service}/${method}`,
    requestStream: client,
    responseStream: server,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
}

const METHOD_DEFINITIONS: ServiceDefinition = Object.fromEntries(
  METHODS.map((method) => [
    method,
    definition(
      SERVICE,
      method,
      method === 'Collect' || method === 'Chat',
      method === 'Produce' || method === 'Chat',
    ),
  ]),
);

type ServerCall =
  | ServerUnaryCall<Buffer, Buffer>
  | ServerReadableStream<Buffer, Buffer>
  | ServerWritableStream<Buffer, Buffer>
  | ServerDuplexStream<Buffer, Buffer>;

async function serve(options: ServerOptions = {}): Promise<GrpcServer> {
  const server = new Server({
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
    ...(options.connectionAgeMs === undefined
      ? {}
      : { 'grpc.max_connection_age_ms': options.connectionAgeMs }),
  });
  const events = new EventLog();
  const attempts = new Map<string, number>();
  let health = SERVING;

  /** What every method does before its own part: the trailers to end with, or the status to fail with. */
  const begin = async (call: ServerCall): Promise<Metadata | Partial<StatusObject>> => {
    const text = (name: string): string => String(call.metadata.get(name)[0] ?? '');
    const name = text('x-call');
    const attempt = (attempts.get(name) ?? 0) + 1;
    attempts.set(name, attempt);
    const deadline = call.getDeadline();
    const deadlineMs = deadline === Infinity ? -1 : Number(deadline) - Date.now();
    events.add({ event: 'begin', call: name, deadlineMs, attempt });
    const cancelled = Promise.withResolvers<void>();
    (call as Readable).on('cancelled', () => {
      events.add({ event: 'end', call: name, cancelled: true });
      cancelled.resolve();
    });
    if (text('x-delay-ms')) {
      const done = new AbortController();
      await Promise.race([sleep(Number(text('x-delay-ms')), null, done).catch(() => {}), cancelled.promise]);
      done.abort();
    }
    if (attempt <= Number(text('x-fail-first'))) return { code: Number(text('x-fail')), details: 'not yet' };
    if (text('x-fail') && !text('x-fail-first') && !text('x-fail-late')) return failure(call);
    const headers = new Metadata();
    const trailers = new Metadata();
    for (const kind of ['', '-bin']) {
      for (const value of call.metadata.get(`x-ping${kind}`)) {
        headers.add(`x-pong${kind}`, value);
        trailers.add(`x-tail${kind}`, value);
      }
    }
    call.sendMetadata(headers);
    return trailers;
  };
  const failure = (call: ServerCall): Partial<StatusObject> => ({
    code: Number(call.metadata.get('x-fail')[0]),
    details: String(call.metadata.get('x-fail-message-bin')[0] ?? ''),
  });
  const failsLate = (call: ServerCall): boolean => call.metadata.get('x-fail-late').length > 0;

  server.addService(METHOD_DEFINITIONS, {
    async Unary(
      call: ServerUnaryCall<Buffer, Buffer>,
      answer: (error: Partial<StatusObject> | null, message?: Buffer, trailers?: Metadata) => void,
    ) {
      const begun = await begin(call);
      if (!(begun instanceof Metadata)) answer(begun);
      else if (failsLate(call)) answer(failure(call));
      else answer(null, call.request, begun);
    },
    async Collect(
      call: ServerReadableStream<Buffer, Buffer>,
      answer: (error: Partial<StatusObject> | null, message?: Buffer, trailers?: Metadata) => void,
    ) {
      const hash = createHash('sha256');
      const begun = await begin(call);
      if (!(begun instanceof Metadata)) {
        answer(begun);
        return;
      }
      call.on('data', (message: Buffer) => hash.update(message));
      call.on('end', () => answer(null, Buffer.from(hash.digest('hex')), begun));
    },
    async Produce(call: ServerWritableStream<Buffer, Buffer>) {
      const begun = await begin(call);
      if (!(begun instanceof Metadata)) {
        call.emit('error', begun);
        return;
      }
      const size = Number(call.metadata.get('x-size')[0] ?? 0);
      const count = Number(call.metadata.get('x-count')[0] ?? 0);
      const name = String(call.metadata.get('x-call')[0]);
      for (let n = 0; n < count && !call.cancelled; n++) {
        if (!call.write(pattern(size, n))) {
          const { promise, resolve } = Promise.withResolvers<void>();
          call.once('drain', resolve);
          call.once('cancelled', resolve);
          await promise;
          call.off('cancelled', resolve);
        }
        events.add({ event: 'sent', call: name, count: n + 1 });
      }
      if (failsLate(call)) call.emit('error', failure(call));
      else call.end(begun);
    },
    async Chat(call: ServerDuplexStream<Buffer, Buffer>) {
      const begun = await begin(call);
      if (!(begun instanceof Metadata)) {
        call.emit('error', begun);
        return;
      }
      call.on('data', (message: Buffer) => {
        if (call.write(message)) return;
        call.pause();
        call.once('drain', () => call.resume());
      });
      call.on('end', () => {
        if (failsLate(call)) call.emit('error', failure(call));
        else call.end(begun);
      });
    },
  });
  server.addService(
    { Check: definition('grpc.health.v1.Health', 'Check', false, false) },
    { Check: (_call: unknown, answer: (error: null, message: Buffer) => void) => answer(null, health) },
  );

  const secure = options.tls
    ? ServerCredentials.createSsl(null, [
        { cert_chain: readFileSync(options.tls.certFile), private_key: readFileSync(options.tls.keyFile) },
      ])
    : ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', secure, (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return {
    port,
    events,
    stop: () =>
      new Promise((resolve, reject) => server.tryShutdown((error) => (error ? reject(error) : resolve()))),
    setHealth(well) {
      health = well ? SERVING : NOT_SERVING;
    },
    async close() {
      server.forceShutdown();
    },
  };
}

async function connect(options: ClientOptions): Promise<GrpcClient> {
  const secure = options.tls
    ? credentials.createSsl(readFileSync(options.tls.caFile))
    : credentials.createInsecure();
  const client = new Client(`127.0.0.1:${options.port}`, secure, {
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
    // Clients of the same target would share one connection.
    'grpc.use_local_subchannel_pool': 1,
    ...(options.tls
      ? {
          'grpc.ssl_target_name_override': options.tls.name,
          'grpc.default_authority': options.tls.name,
        }
      : {}),
  });
  return {
    start: (name, spec) => new JsCall(client, name, spec),
    async close() {
      client.close();
    },
  };
}

class JsCall implements RunningCall {
  readonly result: Promise<CallResult>;
  private readonly call: ClientDuplexStream<Buffer, Buffer>;
  private readonly messages: { size: number; digest: string }[] = [];
  private waiting: (() => void)[] = [];
  private sent = 0;
  private readonly spec: CallSpec;

  constructor(client: Client, name: string, spec: CallSpec) {
    this.spec = spec;
    const metadata = new Metadata();
    metadata.set('x-call', name);
    for (const [key, value] of Object.entries(spec.metadata ?? {}))
      metadata.set(key, key.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
    const path = `/${SERVICE}/${spec.method}`;
    const options = spec.deadlineMs === undefined ? {} : { deadline: Date.now() + spec.deadlineMs };
    // One kind of call serves every method: what differs is how many messages come.
    const call = client.makeBidiStreamRequest(path, asIs, asIs, metadata, options);
    this.call = call;
    let headers: Metadata | null = null;
    this.result = new Promise((resolve) => {
      call.on('metadata', (received: Metadata) => {
        headers = received;
      });
      call.on('data', (message: Buffer) => this.onMessage(message));
      call.on('error', (_: ServiceError) => {}); // The status says it too.
      call.on('status', ({ code, details, metadata: trailers }: StatusObject) =>
        resolve({
          code,
          message: code === status.OK ? '' : details,
          headers: shown(headers),
          trailers: shown(trailers),
          received: this.messages,
        }),
      );
    });
    if (spec.lockstep) this.sendNext();
    else void this.sendAll();
  }

  cancel(): void {
    this.call.cancel();
  }

  resume(): void {
    this.call.resume();
  }

  async received(count: number): Promise<void> {
    const waited = patience(`message ${count} at the client`);
    while (this.messages.length < count)
      await Promise.race([new Promise<void>((resolve) => this.waiting.push(resolve)), waited.promise]);
    waited.over();
  }

  private onMessage(message: Buffer): void {
    this.messages.push({ size: message.length, digest: digest(message) });
    const waiting = this.waiting;
    this.waiting = [];
    for (const wake of waiting) wake();
    if (this.messages.length === this.spec.pauseAfter) this.call.pause();
    if (this.spec.lockstep) this.sendNext();
  }

  private sendNext(): boolean {
    const size = this.spec.sizes[this.sent];
    if (size !== undefined) return this.call.write(pattern(size, this.sent++));
    this.call.end();
    return false;
  }

  private async sendAll(): Promise<void> {
    while (this.sent < this.spec.sizes.length) {
      if (!this.sendNext()) await new Promise<void>((resolve) => this.call.once('drain', resolve));
    }
    this.call.end();
  }
}

function shown(metadata: Metadata | null): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const name of Object.keys(metadata?.getMap() ?? {})) {
    found[name] = (metadata as Metadata)
      .get(name)
      .map((value) => (typeof value === 'string' ? value : value.toString('base64')));
  }
  return found;
}
