/**
 * Is a request a gRPC call? gRPC over HTTP/2 says so by its content type: `application/grpc`, perhaps with a
 * format (`+proto`) or parameters. gRPC-Web (`application/grpc-web`) is another protocol and not meant.
 */
import type { HeaderList } from './headers.ts';
import { H } from './names.ts';

const TYPE = 'application/grpc';

/** True when the content type is `application/grpc` followed by nothing, `+` or `;`. */
export function isGrpc(headers: HeaderList): boolean {
  const type = headers.get(H['content-type']);
  if (type === undefined || !type.startsWith(TYPE)) return false;
  if (type.length === TYPE.length) return true;
  const next = type.charCodeAt(TYPE.length);
  return next === PLUS || next === SEMICOLON;
}

const PLUS = 0x2b;
const SEMICOLON = 0x3b;
