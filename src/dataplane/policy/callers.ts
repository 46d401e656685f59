/**
 * What a caller may hold of the node, and what it has coming when it holds too much. The counts are the ledger's, exact over
 * all workers; here they meet the limits of the configuration. A caller is a number, its place in the ledger; below 0 it
 * is not counted.
 */
import { type Failure, failure } from '../../base/index.ts';
import type { CallersConfig } from '../../config/index.ts';
import { type CallerTable, NO_CALLER } from '../../ledger/index.ts';

export const UNCOUNTED = NO_CALLER.untracked;

/** A request that was refused: the limit, and what was seen. */
export interface CallerExcess {
  readonly failure: Failure;
  /** Field of the configuration. */
  readonly name: string;
  readonly value: number;
  readonly observed: number;
}

export class Callers {
  private readonly table: CallerTable;
  private config: CallersConfig;
  private counting: boolean;

  constructor(table: CallerTable, config: CallersConfig) {
    this.table = table;
    this.config = config;
    this.counting = counts(config);
  }

  /** New limits; what is held stays counted. */
  configure(config: CallersConfig): void {
    this.config = config;
    this.counting = counts(config);
  }

  /** A connection was accepted: its caller until `leave`, or a number of `NO_CALLER`. */
  enter(address: string, nowMs: number): number {
    if (!this.counting) return UNCOUNTED;
    const { ipv6PrefixLength, maxConnections } = this.config;
    return this.table.enter(address, ipv6PrefixLength, maxConnections, nowMs);
  }

  leave(caller: number): void {
    if (caller >= 0) this.table.leave(caller);
  }

  /** Why a connection whose caller `enter` refused is not taken. */
  refusalOf(refused: number): Failure {
    return refused === NO_CALLER.full ? TOO_MANY : OFFENDED;
  }

  /** Whether requests of this caller are counted now; whoever takes a place remembers it. */
  countsRequests(caller: number): boolean {
    return caller >= 0 && this.config.maxRequests > 0;
  }

  /** Takes one of the places that `countsRequests` speaks of. */
  beginRequest(caller: number): boolean {
    return this.table.acquireRequest(caller, this.config.maxRequests);
  }

  endRequest(caller: number): void {
    this.table.releaseRequest(caller);
  }

  /** What a caller without a place is told. */
  tooManyRequests(caller: number): CallerExcess {
    const { maxRequests: value } = this.config;
    const observed = this.table.requests(caller);
    return { failure: failure('caller-requests'), name: 'callers.maxRequests', value, observed };
  }

  /** Another request would make more bytes wait for a caller that does not read those it has. */
  excessOfBytes(caller: number): CallerExcess | null {
    const { maxBufferedBytes: value } = this.config;
    if (caller < 0 || value === 0) return null;
    const observed = this.table.bytes(caller);
    if (observed <= value) return null;
    this.table.refuseRequest(caller);
    return { failure: failure('caller-buffers'), name: 'callers.maxBufferedBytes', value, observed };
  }

  /** A connection ended by its caller's fault. */
  offend(caller: number, nowMs: number): void {
    const { offences } = this.config;
    if (caller >= 0 && offences !== null) this.table.offend(caller, nowMs, offences);
  }

  /** Counts bytes that wait on a new connection; null: nobody asks. */
  accountOf(caller: number): CallerAccount | null {
    return caller < 0 || this.config.maxBufferedBytes === 0 ? null : new CallerAccount(this, caller);
  }

  /** @internal */
  addBytes(caller: number, bytes: number): void {
    this.table.addBytes(caller, bytes);
  }

  /** @internal */
  isOverBytes(caller: number): boolean {
    const { maxBufferedBytes } = this.config;
    return maxBufferedBytes > 0 && this.table.bytes(caller) > maxBufferedBytes;
  }
}

/** Bytes that wait on one connection of a caller. */
export class CallerAccount {
  private readonly callers: Callers;
  private readonly caller: number;

  constructor(callers: Callers, caller: number) {
    this.callers = callers;
    this.caller = caller;
  }

  add(bytes: number): void {
    this.callers.addBytes(this.caller, bytes);
  }

  get over(): boolean {
    return this.callers.isOverBytes(this.caller);
  }
}

const TOO_MANY = failure('caller-connections');
const OFFENDED = failure('caller-penalty');

/** Whether any limit is on. */
function counts(config: CallersConfig): boolean {
  return (
    config.maxConnections > 0 ||
    config.maxRequests > 0 ||
    config.maxBufferedBytes > 0 ||
    config.turnMs > 0 ||
    config.offences !== null
  );
}
