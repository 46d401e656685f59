/** upstream: the way to endpoints: admission, choice, connections. */
export { addressOf } from '../transport/index.ts';
export type { PickedEndpoint, Preference } from './candidates.ts';
export type { AttemptStream } from './connection.ts';
export { type AttemptOutcome, noEndpoint, UpstreamService } from './service.ts';
export type { TcpUpstreamConnection } from './tcp-connection.ts';
export type { ConnectionWaiter, TcpWaiter } from './waiter.ts';
