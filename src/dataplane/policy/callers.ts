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

  /** Counts a request, or says why it is refused. True: a place is taken, which `endRequest` gives back. */
  beginRequest(caller: number): boolean | CallerExcess {
    const { maxRequests, maxBufferedBytes } = this.config;
    if (caller < 0) return false;
    if (maxBufferedBytes > 0) {
      const observed = this.table.bytes(caller);
      if (observed > maxBufferedBytes) {
        this.table.refuseRequest(caller);
        return excess('caller-buffers', 'maxBufferedBytes', maxBufferedBytes, observed);
      }
    }
    if (maxRequests === 0) return false;
    if (this.table.acquireRequest(caller, maxRequests)) return true;
    return excess('caller-requests', 'maxRequests', maxRequests, this.table.requests(caller));
  }

  endRequest(caller: number): void {
    this.table.releaseRequest(caller);
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

function excess(
  kind: 'caller-buffers' | 'caller-requests',
  field: 'maxBufferedBytes' | 'maxRequests',
  value: number,
  observed: number,
): CallerExcess {
  return { failure: failure(kind), name: `callers.${field}`, value, observed };
}

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
