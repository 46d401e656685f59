/**
 * What picking needs and tells. A picker is one moment of a service's endpoints: it never changes and is replaced whole when
 * the service does; what lasts between picks is in a `PickState` that the caller owns. Health and load are asked of the
 * ledger at pick time, because they are the node's, not this worker's.
 */
import { AVAILABLE, type EndpointTable, NOT_ADMITTED } from '../../ledger/index.ts';
import type { Loads } from './loads.ts';
import type { PolicyPicker } from './policy-picker.ts';
import type { Schedule } from './schedule.ts';
import { high, low, xxHash64 } from './xxhash64.ts';

/** What the balancer asks of the ledger, by an endpoint's slot. */
export type EndpointView = Pick<
  EndpointTable,
  'availability' | 'admit' | 'admitInPanic' | 'active' | 'inUseForMs' | 'latencyMs'
>;

export interface Picker {
  /** Endpoints that can be picked at all: those with a weight above 0. */
  readonly size: number;
  /**
   * Index into `service.endpoints` of the endpoint to use, or -1 (no-endpoint) when none may be. The
   * endpoint has been admitted: `state.ticket` is the ledger's ticket, whose outcome the caller reports.
   *
   * `tried` holds the indexes that earlier attempts of the request used. They are picked again only when
   * no other endpoint may be used; before that comes an untried endpoint that awaits its probe, which a
   * first attempt takes as any other. Empty: no endpoint is avoided.
   */
  pick(state: PickState, nowMs: number, tried: readonly number[]): number;
  /** Whether the endpoint of that index is one of those to pick from. */
  has(index: number): boolean;
}

/** How zone aware routing came to the last pick's locality. */
export const ZONE = { none: 0, direct: 1, sampled: 2, cross: 3 } as const;
export type Zone = (typeof ZONE)[keyof typeof ZONE];

/** What lasts between picks from one service, and the outcome of the last. One per worker, service and subset. */
export class PickState {
  /** The ledger's ticket for the last pick: to be reported exactly once. */
  ticket: number = NOT_ADMITTED;
  /** The last pick ignored health, because too few endpoints were available. */
  panic = false;
  /** The last pick was one of degraded endpoints, because healthy ones have no room. */
  degraded = false;
  /** Those that the last pick was among; null: there was none. */
  group: PolicyPicker | null = null;
  zone: Zone = ZONE.none;

  /** @internal */ readonly view: EndpointView;
  /** @internal */ readonly random: () => number;
  /** @internal */ nowMs = 0;
  /** @internal */ tried: readonly number[] = [];
  /** @internal The picker that what follows belongs to. */
  picker: Picker | null = null;
  /** @internal When health was last counted, and how load is shared by it. */
  countedMs = 0;
  /** @internal */ loads: Loads | null = null;
  /** @internal By group: next position of round robin, -1: not started. */
  readonly cursors: number[] = [];
  /** @internal By group: the schedule of unequal weights. */
  readonly schedules: (Schedule | null)[] = [];
  /** @internal By group: some endpoint is in its slow start. */
  readonly warming: boolean[] = [];
  /** @internal Halves of the hash that a hashing policy goes by. */
  hashHigh = 0;
  /** @internal */ hashLow = 0;

  /** `random` returns numbers in [0, 1). */
  constructor(view: EndpointView, random: () => number) {
    this.view = view;
    this.random = random;
  }

  /** What the next pick of a hashing policy goes by; null: nothing, so it is as good as random. */
  hashBy(key: string | null): void {
    if (key === null) {
      this.hashHigh = Math.floor(this.random() * 2 ** 32);
      this.hashLow = Math.floor(this.random() * 2 ** 32);
      return;
    }
    const bytes = Buffer.from(key, 'latin1');
    xxHash64(bytes, bytes.length);
    this.hashHigh = high;
    this.hashLow = low;
  }

  /** Takes an endpoint that is stated, such as a session's; false: it may not be used now. */
  admitStated(slot: number, nowMs: number): boolean {
    const available = this.view.availability(slot, nowMs);
    const usable = available === AVAILABLE.yes || available === AVAILABLE.degraded;
    this.ticket = usable ? this.view.admit(slot, nowMs) : NOT_ADMITTED;
    return this.ticket !== NOT_ADMITTED;
  }
}
