/**
 * Answers of the proxy's own to gRPC calls. A gRPC client looks for a status in the fields and not for an HTTP status
 * and a body, so it gets a trailers-only answer: 200, `grpc-status`, and the text in `grpc-message`
 * (grpc/doc/PROTOCOL-HTTP2.md, "Responses").
 */
import { cureOf, type Failure } from '../../base/index.ts';
import { GRPC, grpcStatusOfHttp, H, HeaderList } from '../../message/index.ts';
import { type LocalReply, printable } from './local-reply.ts';

/** The answer for a failure whose status isn't 0. `requestId` is empty when the request has none yet. */
export function grpcReply(failure: Failure, requestId: string): LocalReply {
  const { kind, flag } = failure;
  const detail = failure.origin === 'downstream' ? printable(failure.detail) : '';
  const id = printable(requestId);
  const text = `${kind} (${flag})${detail && `: ${detail}`}: ${cureOf(kind)}${id && `; request ${id}`}`;
  return trailersOnly(HeaderList.empty(), grpcStatusOfFailure(failure), Buffer.from(text, 'latin1'));
}

/**
 * What a rule answers itself (a redirect, a direct response), to a gRPC call: as in Envoy the status is mapped, the
 * body becomes the message and the other fields stay. A `grpc-status` that the rule sets stands.
 */
export function asGrpcReply(
  { status, headers, body }: LocalReply,
  grpcStatus = grpcStatusOfHttp(status),
): LocalReply {
  return trailersOnly(headers, grpcStatus, body);
}

function trailersOnly(headers: HeaderList, status: number, message: Buffer): LocalReply {
  headers.setClean(H['content-type'], 'application/grpc');
  if (!headers.has(H['grpc-status'])) {
    headers.setClean(H['grpc-status'], String(status));
    if (message.length > 0) headers.setClean(H['grpc-message'], percentEncoded(message));
  }
  return { status: 200, headers, body: EMPTY };
}

/** As a client would map the HTTP status, but where gRPC has a word for what happened. */
export function grpcStatusOfFailure(failure: Failure): number {
  switch (failure.kind) {
    case 'request-timeout':
    case 'deadline':
    case 'per-try-timeout':
      return GRPC.deadlineExceeded;
    case 'body-too-large':
    case 'rate-limited':
    case 'caller-requests':
    case 'caller-buffers':
      return GRPC.resourceExhausted;
    default:
      return grpcStatusOfHttp(failure.status);
  }
}

/** Bytes of a message's text; clients take as little as 8 KiB of fields, and a byte may need three. */
const MESSAGE_BYTES_MAX = 1_024;
const EMPTY = Buffer.alloc(0);

/** Space and VCHAR but % stand for themselves ("Percent-Encoded" of the protocol). */
function percentEncoded(bytes: Buffer): string {
  let text = '';
  const end = Math.min(bytes.length, MESSAGE_BYTES_MAX);
  for (let i = 0; i < end; i++) {
    const byte = bytes[i];
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) text += String.fromCharCode(byte);
    else text += `%${byte < 16 ? '0' : ''}${byte.toString(16).toUpperCase()}`;
  }
  return text;
}
