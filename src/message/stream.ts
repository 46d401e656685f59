/**
 * What a codec's connection and the exchange say to each other about one request. The four interfaces
 * are the seam at which HTTP/1.1 and HTTP/2 meet: router, policies, pools and telemetry stand behind it
 * and exist once. Calls go one way each; nothing returns a promise.
 *
 * Chunks are never empty, and valid only during the call: they are views of the buffer that was read into, and
 * whoever keeps bytes copies them. `send…` returns false when the receiver should
 * stop until `onWritable`; what it was given is taken all the same. After `onAborted`, `onFailed`, `abort` or
 * `cancel` no further call is made in either direction. No callback is made from inside a `send…` call.
 */
import type { Failure } from '../base/index.ts';
import type { RequestHead, ResponseHead } from './head.ts';
import type { HeaderList } from './headers.ts';

/** Facts of a downstream connection that routing, policies and telemetry may ask for. */
export interface ConnectionFacts {
  readonly listener: string;
  readonly remoteAddress: string;
  /** Place of its caller in the ledger; below 0: it is not counted. */
  readonly caller: number;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly tls: TlsFacts | null;
}

export interface TlsFacts {
  readonly protocol: string;
  readonly cipher: string;
  readonly sni: string;
  readonly alpn: string;
  readonly resumed: boolean;
  readonly peer: PeerCertificate | null;
}

/** A verified client certificate. */
export interface PeerCertificate {
  readonly subject: string;
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  readonly serial: string;
  readonly fingerprint256: string;
}

/** A codec's side of one request: the way to answer it. */
export interface DownstreamStream {
  readonly facts: ConnectionFacts;
  /** An interim answer (1xx but not 101); ignored where the client can't take one. */
  sendInformational(head: ResponseHead): void;
  /** The final head, once. */
  sendHead(head: ResponseHead): void;
  sendBody(chunk: Buffer): boolean;
  sendEnd(trailers: HeaderList | null): void;
  /** Ends the request where an orderly end is impossible: resets the stream or closes the connection. */
  abort(failure: Failure): void;
  /** Stops or resumes reading the request body. */
  pause(): void;
  resume(): void;
  /** No further request on this connection after this one (`Connection: close`, GOAWAY). */
  closeAfter(): void;
}

/** The exchange's side of one request. */
export interface DownstreamHandler {
  onBody(chunk: Buffer): void;
  onEnd(trailers: HeaderList | null): void;
  onWritable(): void;
  /**
   * The rest of the request can't be read: it broke the protocol, or came too slowly. Nothing more of it
   * comes; it may still be answered, and the connection closes after that.
   */
  onRefused(failure: Failure): void;
  /** The client is gone. */
  onAborted(failure: Failure): void;
}

/** Makes the exchange's side of a new request. */
export type AcceptRequest = (head: RequestHead, stream: DownstreamStream) => DownstreamHandler;

/** A pool's side of one attempt: the way to send it. */
export interface UpstreamStream {
  readonly endpointAddress: string;
  /** True when this connection has served a request before: then a silent close proves nothing. */
  readonly reused: boolean;
  /** Bytes of the body that were sent, and that nobody has taken yet. */
  readonly waitingBytes: number;
  sendHead(head: RequestHead): void;
  sendBody(chunk: Buffer): boolean;
  sendEnd(trailers: HeaderList | null): void;
  /** Gives the attempt up; the connection is closed or the stream reset. */
  cancel(): void;
  pause(): void;
  resume(): void;
}

/** The exchange's side of one attempt. */
export interface UpstreamHandler {
  onInformational(head: ResponseHead): void;
  onHead(head: ResponseHead): void;
  onBody(chunk: Buffer): void;
  onEnd(trailers: HeaderList | null): void;
  onWritable(): void;
  onFailed(failure: Failure): void;
}
