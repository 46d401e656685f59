/** transport: sockets and TLS, both directions. */
export { ByteSocket } from './byte-socket.ts';
export { copyChunk } from './chunk-pool.ts';
export { addressOf, connectFailure, Dialer } from './dial.ts';
export { HelloReader, type HelloState } from './hello-reader.ts';
export { type ReadBytes, readInto } from './read-into.ts';
export { endSocket, resetSocket } from './socket-end.ts';
export { type BufferAccount, SocketOut } from './socket-out.ts';
export { createTlsOriginator, type TlsOriginator, type TlsOriginatorOptions } from './tls-client.ts';
export { explainUpstreamTlsError, type TlsClientFailure, type TlsServerFailure } from './tls-error.ts';
export {
  createTlsTerminator,
  type TlsTerminator,
  type TlsTerminatorOptions,
} from './tls-server.ts';
