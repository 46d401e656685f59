/** The heads of requests and answers, the same for every codec. */
import type { HeaderList } from './headers.ts';

/** How the end of a body is known. */
export type BodyKind =
  /** The message has no body. */
  | 'none'
  /** `contentLength` bytes follow. */
  | 'length'
  /** The codec marks the end (chunked; HTTP/2 END_STREAM); trailers may follow. */
  | 'stream'
  /** The body ends with the connection: HTTP/1.0 answers. */
  | 'close'
  /** Raw bytes both ways until each side ends: after a 101 answer, or a 2xx to CONNECT. */
  | 'tunnel';

export interface RequestHead {
  method: string;
  /** Request target in origin form (`/path?query`) or `*`; an absolute form was split into these. */
  target: string;
  /** Host name with optional port, as sent: Host field or `:authority`; empty for HTTP/1.0 without. */
  authority: string;
  scheme: 'http' | 'https';
  /** The client's version. */
  version: '1.0' | '1.1' | '2';
  headers: HeaderList;
  body: BodyKind;
  /** Bytes of the body when `body` is `length`, else -1. */
  contentLength: number;
  /** The client waits for `100 Continue` before it sends the body. */
  expectContinue: boolean;
  /** Protocol asked for by `Upgrade` with `Connection: upgrade`, in the case sent; empty: none. */
  upgrade: string;
}

export interface ResponseHead {
  status: number;
  /** Reason phrase as received, possibly empty. */
  reason: string;
  version: '1.0' | '1.1' | '2';
  headers: HeaderList;
  body: BodyKind;
  contentLength: number;
}
