/** A rate limit service of `@grpc/grpc-js` that says what a test wants, and remembers what it was asked. */
import {
  type Metadata,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  type status,
} from '@grpc/grpc-js';

/** `domain` and, per descriptor, `key=value` of each entry. */
export interface Asked {
  readonly domain: string;
  readonly descriptors: readonly (readonly string[])[];
  readonly hitsAddend: number;
  /** The message without gRPC's prefix. */
  readonly bytes: Buffer;
  readonly metadata: Metadata;
}

export interface Answered {
  readonly code: 'OK' | 'OVER_LIMIT' | 'UNKNOWN';
  readonly statuses?: readonly {
    readonly code: 'OK' | 'OVER_LIMIT';
    readonly limit?: { readonly requests: number; readonly unit: number; readonly name?: string };
    readonly remaining?: number;
    readonly resetSeconds?: number;
    readonly resetNanos?: number;
  }[];
  readonly responseHeaders?: readonly (readonly [string, string])[];
  readonly requestHeaders?: readonly (readonly [string, string])[];
  readonly body?: string;
}

export interface Rls {
  readonly port: number;
  readonly asked: Asked[];
  /** Calls that the other side cancelled. */
  cancelled(): number;
  close(): void;
}

/** `answer`: of each question; `hold`: none ever; a number: that gRPC status. */
export async function startRls(answer: (asked: Asked) => Answered | Buffer | 'hold' | number): Promise<Rls> {
  const asked: Asked[] = [];
  let cancelled = 0;
  const asIs = (bytes: Buffer): Buffer => bytes;
  const method: MethodDefinition<Buffer, Buffer> = {
    path: '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit',
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  };
  const server = new Server();
  server.addService({ ShouldRateLimit: method } as ServiceDefinition, {
    ShouldRateLimit(call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>): void {
      call.on('cancelled', () => cancelled++);
      const question = { ...readRequest(call.request), metadata: call.metadata };
      asked.push(question);
      const said = answer(question);
      if (said === 'hold') return;
      if (typeof said === 'number') callback({ code: said as status, details: 'as told' });
      else callback(null, Buffer.isBuffer(said) ? said : encodeResponse(said));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, asked, cancelled: () => cancelled, close: () => server.forceShutdown() };
}

const CODES = { UNKNOWN: 0, OK: 1, OVER_LIMIT: 2 } as const;

/** As protobuf's own encoders write it: fields in order, defaults left out. */
export function encodeResponse(answer: Answered): Buffer {
  const header = ([key, value]: readonly [string, string]): Buffer =>
    Buffer.concat([bytes(1, key), bytes(2, value)]);
  return Buffer.concat([
    varint(1, CODES[answer.code]),
    ...(answer.statuses ?? []).map(({ code, limit, remaining, resetSeconds, resetNanos }) =>
      bytes(
        2,
        Buffer.concat([
          varint(1, CODES[code]),
          limit === undefined
            ? EMPTY
            : bytes(
                2,
                Buffer.concat([
                  varint(1, limit.requests),
                  varint(2, limit.unit),
                  limit.name === undefined ? EMPTY : bytes(3, limit.name),
                ]),
              ),
          varint(3, remaining ?? 0),
          resetSeconds === undefined && resetNanos === undefined
            ? EMPTY
            : bytes(4, Buffer.concat([varint(1, resetSeconds ?? 0), varint(2, resetNanos ?? 0)])),
        ]),
      ),
    ),
    ...(answer.responseHeaders ?? []).map((field) => bytes(3, header(field))),
    ...(answer.requestHeaders ?? []).map((field) => bytes(4, header(field))),
    answer.body === undefined ? EMPTY : bytes(5, answer.body),
  ]);
}

const EMPTY = Buffer.alloc(0);

function number(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...number(Math.floor(value / 0x80))];
}

function varint(field: number, value: number): Buffer {
  return value === 0 ? EMPTY : Buffer.from([field << 3, ...number(value)]);
}

function bytes(field: number, value: Buffer | string): Buffer {
  const content = Buffer.from(value);
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...number(content.length)]), content]);
}

function readRequest(message: Buffer): Omit<Asked, 'metadata'> {
  let domain = '';
  let hitsAddend = 0;
  const descriptors: string[][] = [];
  for (const { field, value } of fields(message)) {
    if (field === 1) domain = String(value);
    else if (field === 2)
      descriptors.push(
        fields(value as Buffer).map(({ value: entry }) =>
          fields(entry as Buffer)
            .map((part) => String(part.value))
            .join('='),
        ),
      );
    else if (field === 3) hitsAddend = value as number;
  }
  return { domain, descriptors, hitsAddend, bytes: message };
}

/** Fields of a message that has varints and bytes only. */
function fields(message: Buffer): { field: number; value: Buffer | number }[] {
  const found: { field: number; value: Buffer | number }[] = [];
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++] as number;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = next();
    const size = next();
    if ((tag & 7) === 0) found.push({ field: tag >> 3, value: size });
    else {
      found.push({ field: tag >> 3, value: message.subarray(at, at + size) });
      at += size;
    }
  }
  return found;
}
