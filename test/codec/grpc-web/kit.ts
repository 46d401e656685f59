/** Both ends of a wrapped call: what the connection is asked to send, and what the exchange is told. */
import type { Failure } from '../../../src/base/index.ts';
import { type GrpcWebStream, wrapGrpcWeb } from '../../../src/dataplane/codec/grpc-web/index.ts';
import {
  type BodyKind,
  type DownstreamHandler,
  type DownstreamStream,
  HeaderList,
  type RequestHead,
  type ResponseHead,
} from '../../../src/message/index.ts';

export class Ends implements DownstreamHandler {
  /** Calls in order, bodies apart. */
  readonly calls: string[] = [];
  /** Bytes that the exchange was given, and those that the client was. */
  received = '';
  sent = '';
  /** What the connection answers to `sendBody`. */
  open = true;
  head: ResponseHead | null = null;
  readonly stream: DownstreamStream = {
    facts: {
      listener: 'web',
      remoteAddress: '',
      caller: -1,
      remotePort: 0,
      localAddress: '',
      localPort: 0,
      tls: null,
    },
    sendInformational: (head) => this.note(`informational ${head.status}`),
    sendHead: (head) => {
      this.head = head;
      this.note(`head ${head.status} ${head.body}`);
    },
    sendBody: (chunk) => {
      if (chunk.length === 0) this.note('an empty chunk');
      this.sent += chunk.toString('latin1');
      return this.open;
    },
    sendEnd: (trailers) => this.note(trailers === null ? 'end' : `end ${trailers.size}`),
    abort: (why) => this.note(`abort ${why.kind}`),
    pause: () => this.note('pause'),
    resume: () => this.note('resume'),
    closeAfter: () => this.note('closeAfter'),
  };

  onBody(chunk: Buffer): void {
    if (chunk.length === 0) this.note('an empty chunk');
    this.received += chunk.toString('latin1');
  }

  onEnd(trailers: HeaderList | null): void {
    this.note(trailers === null ? 'received all' : `received all ${trailers.size}`);
  }

  onWritable(): void {
    this.note('writable');
  }

  onRefused(why: Failure): void {
    this.note(`refused ${why.kind}: ${why.detail}`);
  }

  onAborted(why: Failure): void {
    this.note(`aborted ${why.kind}`);
  }

  private note(call: string): void {
    this.calls.push(call);
  }
}

export function requestHead(type: string, ...fields: string[]): RequestHead {
  return {
    method: 'POST',
    target: '/shop.Cart/Add',
    authority: 'shop',
    scheme: 'http',
    version: '1.1',
    headers: HeaderList.of('content-type', type, 'content-length', '10', ...fields),
    body: 'length',
    contentLength: 10,
    expectContinue: false,
    upgrade: '',
  };
}

export function responseHead(type: string, body: BodyKind = 'stream', ...fields: string[]): ResponseHead {
  const headers = HeaderList.of('content-type', type, ...fields);
  return { status: 200, reason: '', version: '2', headers, body, contentLength: body === 'length' ? 10 : -1 };
}

/** A wrapped call. */
export function call(type: string, ...fields: string[]): { ends: Ends; web: GrpcWebStream } {
  const ends = new Ends();
  const web = wrapGrpcWeb(requestHead(type, ...fields), ends.stream);
  if (web === null) throw new Error(`${type} is not gRPC-Web`);
  web.attach(ends);
  return { ends, web };
}

/** Hands over each piece as a view of a buffer that is overwritten after the call. */
export function inPieces(bytes: Buffer, cuts: readonly number[], take: (piece: Buffer) => void): void {
  const ends = [...cuts, bytes.length];
  let from = 0;
  for (const end of ends) {
    if (end > from) {
      const piece = Buffer.from(bytes.subarray(from, end));
      take(piece);
      piece.fill(0x2a);
    }
    from = Math.max(from, end);
  }
}

/** A gRPC frame; the text is its message. */
export function frame(message: string, flag = 0): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes[0] = flag;
  bytes.writeUInt32BE(message.length, 1);
  bytes.write(message, 5, 'latin1');
  return bytes;
}

/** As clients read a text body: groups of four, padding anywhere. */
export function decoded(text: string): string {
  let all = '';
  for (let at = 0; at < text.length; at += 4)
    all += Buffer.from(text.slice(at, at + 4), 'base64').toString('latin1');
  return all;
}
