/** What a pool knows of a connection, whatever is spoken on it. */
import type { Failure } from '../../base/index.ts';
import type { UpstreamHandler, UpstreamStream } from '../../message/index.ts';
import type { Link } from './link.ts';

/** The way of one attempt over a connection. */
export interface AttemptStream extends UpstreamStream {
  readonly endpointSlot: number;
  /** First of all: who is told. Then `sendHead` and so on. */
  begin(handler: UpstreamHandler): void;
  /**
   * The handler wants no more of this answer, whose head it has seen. What can be kept of the connection is kept;
   * no further call comes.
   */
  discard(): void;
}

/**
 * Why a connection ended: we had no more use for it, it was idle or alive too long, the endpoint closed it, broke the protocol,
 * or answered no ping.
 */
export type CloseCause = 'local' | 'idle-timeout' | 'max-age' | 'remote' | 'protocol' | 'keepalive-timeout';

export interface UpstreamConnection {
  readonly link: Link;
  readonly protocol: 'http1' | 'http2' | 'tcp';
  readonly closeCause: CloseCause;
  /** Requests that were under way when it ended. */
  readonly cutRequests: number;
}

/** One that carries requests, one after the other or side by side. */
export interface RequestConnection extends UpstreamConnection {
  /** The pool knows of `max-age` only. */
  closeCause: CloseCause;
  /** How many more requests it takes now. */
  readonly capacity: number;
  /** No request is under way, and it takes one. */
  readonly isIdle: boolean;
  /** Takes a request on; only while `capacity` is above 0. */
  open(): AttemptStream;
  /** Takes no more requests, and closes when those under way have ended. */
  closeGracefully(): void;
}

/** The pool. */
export interface ConnectionOwner {
  /** It can take another request, or its limit has changed. */
  onFree(connection: RequestConnection): void;
  /** It takes no more requests: those that wait for it have to look elsewhere. */
  onRetired(connection: RequestConnection): void;
  /** It ended before it could take a request. */
  onConnectFailed(link: Link, why: Failure): void;
}
