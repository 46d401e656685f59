/**
 * The two messages of grpc.health.v1, each with the five bytes that gRPC puts in front (PROTOCOL-HTTP2.md,
 * "Length-Prefixed-Message"). By hand: they have one field each.
 */

/** grpc.health.v1.HealthCheckResponse.ServingStatus; the last is of Watch only. */
const SERVING_STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

const PREFIX_BYTES = 5;
/** Wire types of protobuf: how the bytes after a field's number are read. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;
const VARINT_BYTES_MAX = 10;

/** HealthCheckRequest { string service = 1 }; a default is not written. */
export function encodeCheckRequest(service: string): Buffer {
  const name = Buffer.from(service, 'utf8');
  const field = name.length === 0 ? [] : [(1 << 3) | LENGTH_DELIMITED, ...varint(name.length)];
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(field.length + name.length, 1);
  return Buffer.concat([prefix, Buffer.from(field), name]);
}

/** The status's name in HealthCheckResponse { ServingStatus status = 1 }; null: the body is not one such message. */
export function decodeServingStatus(body: Buffer): string | null {
  // The first byte would say that it is compressed, which nobody asked for.
  if (body.length < PREFIX_BYTES || body[0] !== 0) return null;
  if (body.readUInt32BE(1) !== body.length - PREFIX_BYTES) return null;
  let status = 0;
  const reader = new Reader(body, PREFIX_BYTES);
  while (reader.at < body.length) {
    const tag = reader.varint();
    const field = Math.floor(tag / 8);
    if (field === 0) return null;
    if (field === 1 && tag % 8 === VARINT) status = reader.varint();
    else reader.skip(tag % 8);
    if (reader.broken) return null;
  }
  return SERVING_STATUS[status] ?? String(status);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))];
}

class Reader {
  at: number;
  broken = false;
  private readonly bytes: Buffer;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  /** Above 2^53 it is rounded, which makes no status of what is none. */
  varint(): number {
    let value = 0;
    for (let i = 0; i < VARINT_BYTES_MAX && this.at < this.bytes.length; i++) {
      const byte = this.bytes[this.at++] as number;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    this.broken = true;
    return 0;
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.varint();
    else if (wireType === FIXED64) this.forward(8);
    else if (wireType === LENGTH_DELIMITED) this.forward(this.varint());
    else if (wireType === FIXED32) this.forward(4);
    else this.broken = true;
  }

  private forward(bytes: number): void {
    this.at += bytes;
    if (this.at > this.bytes.length) this.broken = true;
  }
}
