/**
 * What a worker does about load that is too much: Envoy's overload actions, each with a state from 0 (not taken) to 1 (taken
 * in full), which its triggers ask for. The state rises at once and falls by at most a quarter a refresh; a threshold that was
 * reached holds until the pressure is 5 points below it. Envoy has neither, and flaps.
 *
 * Whoever meets requests and connections reads the outcome as plain fields; it is worked out between requests.
 */
import type { OverloadManagerConfig, OverloadTriggerConfig, RequestPriority } from '../../config/index.ts';
import type { OverloadAction, OverloadResource } from '../../ledger/index.ts';

const FALL_MAX = 0.25;
const HYSTERESIS = 0.05;

/** Shares of each resource that are used, 0 to 1 and above; 0 for what is not watched. */
export type Pressures = Readonly<Record<OverloadResource, number>>;

const ACTIONS: readonly OverloadAction[] = [
  'shrinkHeap',
  'reduceTimeouts',
  'disableHttpKeepalive',
  'stopAcceptingRequests',
  'rejectIncomingConnections',
  'stopAcceptingConnections',
  'resetAcceptQueue',
];

export class Overload {
  /** What a listener's own wait has to be for its queue to be reset; 0: nobody measures it. */
  readonly resetAboveMs: number;
  private readonly minIdleTimeoutMs: number;
  private readonly triggers: Readonly<Record<OverloadAction, readonly Trigger[]>>;
  private readonly states: Record<OverloadAction, number> = {
    shrinkHeap: 0,
    reduceTimeouts: 0,
    disableHttpKeepalive: 0,
    stopAcceptingRequests: 0,
    rejectIncomingConnections: 0,
    stopAcceptingConnections: 0,
    resetAcceptQueue: 0,
  };
  /** Share of the requests to refuse, by priority. */
  private low = 0;
  private usual = 0;
  /** Of what asks for most that requests are refused: for decision records. */
  cause: OverloadResource = 'memory';
  causePressure = 0;

  constructor({ actions, minIdleTimeoutMs, monitors }: OverloadManagerConfig) {
    this.resetAboveMs = monitors.acceptQueue === null ? 0 : monitors.acceptQueue.maxWaitMs;
    this.minIdleTimeoutMs = minIdleTimeoutMs;
    const compile = (list: readonly OverloadTriggerConfig[]): Trigger[] =>
      list.map((one) => new Trigger(one));
    this.triggers = {
      shrinkHeap: compile(actions.shrinkHeap),
      reduceTimeouts: compile(actions.reduceTimeouts),
      disableHttpKeepalive: compile(actions.disableHttpKeepalive),
      stopAcceptingRequests: compile(actions.stopAcceptingRequests),
      rejectIncomingConnections: compile(actions.rejectIncomingConnections),
      stopAcceptingConnections: compile(actions.stopAcceptingConnections),
      resetAcceptQueue: compile(actions.resetAcceptQueue),
    };
  }

  /** Looks at new pressures; once every refresh. */
  update(pressures: Pressures): void {
    for (const action of ACTIONS) {
      let wanted = 0;
      for (const trigger of this.triggers[action]) {
        const state = trigger.stateAt(pressures[trigger.resource]);
        if (action === 'stopAcceptingRequests' && state > wanted) {
          this.cause = trigger.resource;
          this.causePressure = pressures[trigger.resource];
        }
        wanted = Math.max(wanted, state);
      }
      this.states[action] = Math.max(wanted, this.states[action] - FALL_MAX, 0);
    }
    const refusing = this.states.stopAcceptingRequests;
    this.low = Math.min(1, 2 * refusing);
    this.usual = Math.max(0, 2 * refusing - 1);
  }

  /** From 0, not taken, to 1, taken in full. */
  state(action: OverloadAction): number {
    return this.states[action];
  }

  /** Is this request to be refused? `random` returns numbers in [0, 1). */
  refuses(priority: RequestPriority, random: () => number): boolean {
    if (this.low === 0 || priority === 'high') return false;
    return random() < (priority === 'low' ? this.low : this.usual);
  }

  /** Connections of clients are not kept after their answer. */
  get disablesKeepalive(): boolean {
    return this.states.disableHttpKeepalive > 0;
  }

  /** New connections are left to others. */
  get stopsAccepting(): boolean {
    return this.states.stopAcceptingConnections > 0;
  }

  /** The queue of those that wait to be accepted is to go, once. */
  get resetsQueue(): boolean {
    return this.states.resetAcceptQueue >= 1;
  }

  /** Share of new connections to close at once. */
  get rejects(): number {
    return this.states.rejectIncomingConnections;
  }

  /** The idle timeout in force where `usualMs` is configured. Where that is 0 (off) there is one once the action is taken in full. */
  idleTimeoutMs(usualMs: number): number {
    const state = this.states.reduceTimeouts;
    if (state === 0 || (usualMs > 0 && usualMs <= this.minIdleTimeoutMs)) return usualMs;
    if (usualMs === 0) return state < 1 ? 0 : this.minIdleTimeoutMs;
    return Math.round(usualMs - state * (usualMs - this.minIdleTimeoutMs));
  }
}

class Trigger {
  readonly resource: OverloadResource;
  private readonly scaling: number;
  private readonly saturation: number;
  private reached = false;

  constructor({ resource, scaling, saturation }: OverloadTriggerConfig) {
    this.resource = resource;
    this.scaling = scaling;
    this.saturation = saturation;
  }

  /** The state that this pressure asks for. */
  stateAt(pressure: number): number {
    if (this.scaling === this.saturation) {
      this.reached = pressure >= this.saturation - (this.reached ? HYSTERESIS : 0);
      return this.reached ? 1 : 0;
    }
    const share = (pressure - this.scaling) / (this.saturation - this.scaling);
    return Math.min(1, Math.max(0, share));
  }
}
