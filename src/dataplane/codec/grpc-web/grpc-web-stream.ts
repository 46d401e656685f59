/**
 * One gRPC-Web call between a codec's connection and an exchange: the exchange takes it for the stream of a gRPC call,
 * the connection for the handler of its request. Pauses and endings pass straight through; bytes do too where the body
 * is binary, but for the trailers, which become the last frame of the answer's body.
 */
import { type Failure, failure } from '../../../base/index.ts';
import {
  type ConnectionFacts,
  type DownstreamHandler,
  type DownstreamStream,
  H,
  type HeaderList,
  isGrpc,
  type RequestHead,
  type ResponseHead,
} from '../../../message/index.ts';
import { Base64Reader } from './base64-reader.ts';
import { answerTypeOf, toGrpc, toWeb, type WebType, webTypeOf } from './media-type.ts';
import { TextWriter } from './text-writer.ts';
import { trailerFrame } from './trailer-frame.ts';

/**
 * Makes the head of a gRPC-Web request that of a gRPC call, in place, and returns the stream to answer it by; null: it
 * is something else. `attach` the exchange before anything happens.
 */
export function wrapGrpcWeb(head: RequestHead, stream: DownstreamStream): GrpcWebStream | null {
  const { headers } = head;
  const type = headers.get(H['content-type']);
  const asked = type === undefined ? null : webTypeOf(type);
  if (asked === null) return null;
  const wanted = answerTypeOf(headers, asked);
  headers.set(H['content-type'], toGrpc(asked));
  headers.setClean(H.te, 'trailers');
  if (asked.text && head.body === 'length') unmeasure(head);
  return new GrpcWebStream(stream, asked, wanted);
}

export class GrpcWebStream implements DownstreamStream, DownstreamHandler {
  readonly facts: ConnectionFacts;
  private readonly stream: DownstreamStream;
  private readonly wanted: WebType;
  /** Null: the request is binary. */
  private readonly reader: Base64Reader | null;
  /** Null: the answer is binary, or none of gRPC's. */
  private writer: TextWriter | null = null;
  private translated = false;
  private handler: DownstreamHandler | null = null;

  constructor(stream: DownstreamStream, asked: WebType, wanted: WebType) {
    this.stream = stream;
    this.facts = stream.facts;
    this.wanted = wanted;
    this.reader = asked.text ? new Base64Reader() : null;
  }

  /** Whose call it is. */
  attach(handler: DownstreamHandler): void {
    this.handler = handler;
  }

  // The request, from the connection.

  onBody(chunk: Buffer): void {
    if (this.reader === null) {
      this.handler?.onBody(chunk);
      return;
    }
    const bytes = this.reader.decode(chunk);
    if (bytes === null) this.refuse(this.reader.fault);
    else if (bytes.length > 0) this.handler?.onBody(bytes);
  }

  onEnd(trailers: HeaderList | null): void {
    if (this.reader?.complete === false) this.refuse('base64 that ends within a group of four');
    else this.handler?.onEnd(trailers);
  }

  onWritable(): void {
    this.handler?.onWritable();
  }

  onRefused(why: Failure): void {
    this.handler?.onRefused(why);
  }

  onAborted(why: Failure): void {
    this.handler?.onAborted(why);
  }

  // The answer, from the exchange.

  sendInformational(head: ResponseHead): void {
    this.stream.sendInformational(head);
  }

  /** An answer that is no gRPC goes through as it is: the client makes a status of its HTTP status. */
  sendHead(head: ResponseHead): void {
    const { headers } = head;
    if (isGrpc(headers)) {
      this.translated = true;
      if (this.wanted.text) this.writer = new TextWriter();
      headers.set(H['content-type'], toWeb(headers.get(H['content-type']) as string, this.wanted));
      headers.delete(H.trailer);
      if (head.body === 'length') unmeasure(head);
    }
    this.stream.sendHead(head);
  }

  sendBody(chunk: Buffer): boolean {
    if (this.writer === null) return this.stream.sendBody(chunk);
    const text = this.writer.encode(chunk);
    return text === '' || this.stream.sendBody(Buffer.from(text, 'latin1'));
  }

  sendEnd(trailers: HeaderList | null): void {
    if (!this.translated) {
      this.stream.sendEnd(trailers);
      return;
    }
    const frame = trailers === null ? EMPTY : trailerFrame(trailers);
    const rest = this.writer === null ? frame : Buffer.from(this.writer.end(frame), 'latin1');
    if (rest.length > 0) this.stream.sendBody(rest);
    this.stream.sendEnd(null);
  }

  abort(why: Failure): void {
    this.stream.abort(why);
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  closeAfter(): void {
    this.stream.closeAfter();
  }

  /** The rest of the body is not looked at. */
  private refuse(detail: string): void {
    const { handler } = this;
    this.handler = null;
    handler?.onRefused(failure('bad-grpc-web', detail));
  }
}

const EMPTY = Buffer.alloc(0);

/** The body will have another length. */
function unmeasure(head: RequestHead | ResponseHead): void {
  head.body = 'stream';
  head.contentLength = -1;
  head.headers.delete(H['content-length']);
}
