/** message: what codecs, router, pools and telemetry all speak. */

export { addToHost, isAuthority, isHostAndPort } from './authority.ts';
export type { ByteHandler, ByteStream } from './bytes.ts';
export { FieldSet } from './field-set.ts';
export { isGrpc } from './grpc.ts';
export { GRPC, grpcStatusName, grpcStatusOf, grpcStatusOfHttp } from './grpc-status.ts';
export type { BodyKind, RequestHead, ResponseHead } from './head.ts';
export { type FieldName, HeaderList } from './headers.ts';
export { HOP_BY_HOP, stripHopByHop } from './hop-by-hop.ts';
export { listElements } from './list.ts';
export { H, type KnownName, nameIdOf, nameIdOfBytes, nameOfId, X_ENVOY } from './names.ts';
export {
  type ProxiedAddresses,
  type ProxyHeader,
  type ProxyVersion,
  readProxyHeader,
  writeProxyHeader,
} from './proxy-header.ts';
export { safeWord } from './safe-word.ts';
export type {
  AcceptRequest,
  ConnectionFacts,
  DownstreamHandler,
  DownstreamStream,
  PeerCertificate,
  TlsFacts,
  UpstreamHandler,
  UpstreamStream,
} from './stream.ts';
