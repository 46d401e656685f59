/**
 * gRPC-Web (grpc/doc/PROTOCOL-WEB.md): what browsers speak, because they can't read trailers. It is translated to
 * gRPC before an exchange sees it and back as the answer leaves, so that nothing behind this door knows of it.
 */
export { GrpcWebStream, wrapGrpcWeb } from './grpc-web-stream.ts';
