/**
 * HTTP/1.x on the wire, both directions: bytes to messages (RequestParser, ResponseParser) and back
 * (encodeRequestHead, encodeResponseHead, BodyWriter). Pure: no socket, no timer, no clock. It is as strict as
 * RFC 9112 lets a recipient be: a message whose end two implementations could see in two places is refused
 * and its connection closed, because that is how requests are smuggled.
 */

export { BodyWriter, type ByteOut } from './body-writer.ts';
export {
  encodeInformational,
  encodeRequestHead,
  encodeResponseHead,
  type ResponseContext,
} from './encode.ts';
export { type Framing, requestFraming, responseFraming } from './framing.ts';
export { RequestParser, type RequestParserOptions, type RequestSink } from './request-parser.ts';
export { ResponseParser, type ResponseParserOptions, type ResponseSink } from './response-parser.ts';
