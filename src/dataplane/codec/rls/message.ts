/**
 * RateLimitRequest and RateLimitResponse (envoy/service/ratelimit/v3/rls.proto), each with the five bytes that gRPC puts in
 * front (PROTOCOL-HTTP2.md, "Length-Prefixed-Message"). By hand, because they are on the way of every request that asks, and small.
 *
 * Text is one character per byte here, as in header lists. Protobuf wants UTF-8: bytes that are none are taken for
 * Latin-1, because a server that cannot read a message would let everything through that sends such a header.
 */
import { isUtf8 } from 'node:buffer';

export interface DescriptorEntry {
  readonly key: string;
  readonly value: string;
}

export interface RateLimitResponse {
  readonly overLimit: boolean;
  /** One per descriptor, in their order. */
  readonly statuses: readonly DescriptorStatus[];
  readonly responseHeaders: readonly DescriptorEntry[];
  readonly requestHeaders: readonly DescriptorEntry[];
  /** Of a refusal; empty: none is stated. */
  readonly body: Buffer;
}

export interface DescriptorStatus {
  overLimit: boolean;
  /** Requests in a window; -1: the service does not say. */
  requestsPerUnit: number;
  /** Length of the window; 0: of a unit that is not known. */
  windowSeconds: number;
  /** Of the limit; empty: it has none. */
  name: string;
  remaining: number;
  untilResetSeconds: number;
  untilResetNanos: number;
}

const PREFIX_BYTES = 5;
/** Wire types of protobuf: how the bytes after a field's number are read. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const VARINT_BYTES_MAX = 10;

/** RateLimitRequest { string domain = 1; repeated RateLimitDescriptor descriptors = 2 }. hits_addend 1 is the default. */
export function encodeRateLimitRequest(
  domain: string,
  descriptors: readonly (readonly DescriptorEntry[])[],
): Buffer {
  const parts: Buffer[] = [Buffer.alloc(PREFIX_BYTES)];
  text(parts, 1, domain);
  for (const entries of descriptors) {
    // RateLimitDescriptor { repeated Entry entries = 1 }; Entry { string key = 1; string value = 2 }
    const made: Buffer[] = [];
    for (const { key, value } of entries) {
      const entry: Buffer[] = [];
      text(entry, 1, key);
      text(entry, 2, value);
      message(made, 1, entry);
    }
    message(parts, 2, made);
  }
  const whole = Buffer.concat(parts);
  whole.writeUInt32BE(whole.length - PREFIX_BYTES, 1);
  return whole;
}

function text(parts: Buffer[], field: number, value: string): void {
  // A default is not written.
  if (value === '') return;
  const bytes = Buffer.from(value, 'latin1');
  const utf8 = isUtf8(bytes) ? bytes : Buffer.from(value, 'utf8');
  parts.push(lengthDelimited(field, utf8.length), utf8);
}

function message(parts: Buffer[], field: number, inner: readonly Buffer[]): void {
  const length = inner.reduce((sum, part) => sum + part.length, 0);
  parts.push(lengthDelimited(field, length), ...inner);
}

function lengthDelimited(field: number, length: number): Buffer {
  const bytes = [(field << 3) | BYTES];
  let left = length;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  bytes.push(left);
  return Buffer.from(bytes);
}

/** Null: the body is not one such message. */
export function decodeRateLimitResponse(body: Buffer): RateLimitResponse | null {
  // The first byte would say that it is compressed, which nobody asked for.
  if (body.length < PREFIX_BYTES || body[0] !== 0) return null;
  if (body.readUInt32BE(1) !== body.length - PREFIX_BYTES) return null;
  const response = {
    overLimit: false,
    statuses: [] as DescriptorStatus[],
    responseHeaders: [] as DescriptorEntry[],
    requestHeaders: [] as DescriptorEntry[],
    body: Buffer.alloc(0) as Buffer,
  };
  const reader = new Reader(body.subarray(PREFIX_BYTES));
  while (reader.next()) {
    if (reader.is(1, VARINT)) response.overLimit = reader.varint() === OVER_LIMIT;
    else if (reader.is(2, BYTES)) response.statuses.push(statusOf(reader.inner()));
    else if (reader.is(3, BYTES)) response.responseHeaders.push(headerOf(reader.inner()));
    else if (reader.is(4, BYTES)) response.requestHeaders.push(headerOf(reader.inner()));
    else if (reader.is(5, BYTES)) response.body = reader.bytes();
    else reader.skip();
  }
  return reader.broken ? null : response;
}

const OVER_LIMIT = 2;

/** DescriptorStatus { Code code = 1; RateLimit current_limit = 2; uint32 limit_remaining = 3; Duration duration_until_reset = 4 } */
function statusOf(reader: Reader): DescriptorStatus {
  const status: DescriptorStatus = {
    overLimit: false,
    requestsPerUnit: -1,
    windowSeconds: 0,
    name: '',
    remaining: 0,
    untilResetSeconds: 0,
    untilResetNanos: 0,
  };
  while (reader.next()) {
    if (reader.is(1, VARINT)) status.overLimit = reader.varint() === OVER_LIMIT;
    else if (reader.is(2, BYTES)) readLimit(reader.inner(), status);
    else if (reader.is(3, VARINT)) status.remaining = reader.varint();
    else if (reader.is(4, BYTES)) readDuration(reader.inner(), status);
    else reader.skip();
  }
  return status;
}

/** RateLimit.Unit: UNKNOWN, SECOND, MINUTE, HOUR, DAY, MONTH, YEAR, WEEK. */
const UNIT_SECONDS = [0, 1, 60, 3_600, 86_400, 2_592_000, 31_536_000, 604_800];

/** RateLimit { uint32 requests_per_unit = 1; Unit unit = 2; string name = 3 } */
function readLimit(reader: Reader, status: DescriptorStatus): void {
  status.requestsPerUnit = 0;
  while (reader.next()) {
    if (reader.is(1, VARINT)) status.requestsPerUnit = reader.varint();
    else if (reader.is(2, VARINT)) status.windowSeconds = UNIT_SECONDS[reader.varint()] ?? 0;
    else if (reader.is(3, BYTES)) status.name = reader.text();
    else reader.skip();
  }
}

/** google.protobuf.Duration { int64 seconds = 1; int32 nanos = 2 } */
function readDuration(reader: Reader, status: DescriptorStatus): void {
  while (reader.next()) {
    if (reader.is(1, VARINT)) status.untilResetSeconds = reader.varint();
    else if (reader.is(2, VARINT)) status.untilResetNanos = reader.varint();
    else reader.skip();
  }
}

/** config.core.v3.HeaderValue { string key = 1; string value = 2; bytes raw_value = 3 } */
function headerOf(reader: Reader): DescriptorEntry {
  let key = '';
  let value = '';
  while (reader.next()) {
    if (reader.is(1, BYTES)) key = reader.text();
    else if (reader.is(2, BYTES) || reader.is(3, BYTES)) value = reader.text();
    else reader.skip();
  }
  return { key, value };
}

/** Reads one message, field by field. What is inside another message breaks the outer one with it. */
class Reader {
  private readonly buffer: Buffer;
  private readonly outer: Reader | null;
  private at = 0;
  private field = 0;
  private wireType = 0;
  private failed = false;

  constructor(buffer: Buffer, outer: Reader | null = null) {
    this.buffer = buffer;
    this.outer = outer;
  }

  get broken(): boolean {
    return this.failed;
  }

  /** Comes to the next field; false: there is none, or the message is broken. */
  next(): boolean {
    if (this.failed || this.at >= this.buffer.length) return false;
    const tag = this.varint();
    this.field = Math.floor(tag / 8);
    this.wireType = tag % 8;
    if (this.field === 0) this.fail();
    return !this.failed;
  }

  is(field: number, wireType: number): boolean {
    return this.field === field && this.wireType === wireType;
  }

  /** Above 2^53 it is rounded: no field that is used here is so large. */
  varint(): number {
    let value = 0;
    for (let i = 0; i < VARINT_BYTES_MAX && this.at < this.buffer.length; i++) {
      const byte = this.buffer[this.at++] as number;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    this.fail();
    return 0;
  }

  bytes(): Buffer {
    const length = this.varint();
    const start = this.at;
    this.forward(length);
    return this.failed ? Buffer.alloc(0) : this.buffer.subarray(start, this.at);
  }

  text(): string {
    return this.bytes().toString('latin1');
  }

  inner(): Reader {
    return new Reader(this.bytes(), this);
  }

  skip(): void {
    if (this.wireType === VARINT) this.varint();
    else if (this.wireType === FIXED64) this.forward(8);
    else if (this.wireType === BYTES) this.bytes();
    else if (this.wireType === FIXED32) this.forward(4);
    else this.fail();
  }

  private forward(bytes: number): void {
    this.at += bytes;
    if (this.at > this.buffer.length) this.fail();
  }

  private fail(): void {
    this.failed = true;
    this.outer?.fail();
  }
}
