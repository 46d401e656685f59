/** upstream: the way to endpoints: admission, choice, connections. */
export { addressOf } from '../transport/index.ts';
export type { AttemptStream } from './connection.ts';
export { type AttemptOutcome, noEndpoint, type PickedEndpoint, UpstreamService } from './service.ts';
export type { TcpUpstreamConnection } from './tcp-connection.ts';
export type { ConnectionWaiter, TcpWaiter } from './waiter.ts';
