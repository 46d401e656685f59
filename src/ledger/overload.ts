// How near to its limits the node is, and what each worker does about it. The supervisor measures what the node shares
// and writes it to the node's line; each worker measures itself, decides for itself, and shows both in a line of its own. One
// writer per line; shares are in thousandths, because cells hold whole numbers.
import type { Layout, Memory } from './layout.ts';

/** What is measured once for the node, by its word in the node's line. */
const NODE_RESOURCES = { memory: 0, descriptors: 1 } as const;
/** What each worker measures of itself, by its word in the worker's overload line. */
export const WORKER_RESOURCES = { heap: 0, eventLoop: 1, acceptQueue: 2 } as const;
/** What a worker does, by its word there; names of Envoy's overload actions, but for the last. */
export const OVERLOAD_ACTIONS = {
  shrinkHeap: 3,
  reduceTimeouts: 4,
  disableHttpKeepalive: 5,
  stopAcceptingRequests: 6,
  rejectIncomingConnections: 7,
  stopAcceptingConnections: 8,
  resetAcceptQueue: 9,
} as const;

export type NodeResource = keyof typeof NODE_RESOURCES;
export type WorkerResource = keyof typeof WORKER_RESOURCES;
export type OverloadResource = NodeResource | WorkerResource;
export type OverloadAction = keyof typeof OVERLOAD_ACTIONS;

const ONE = 1_000;

/** A worker's end. Shares are 0 to 1, pressures may be above. */
export class OverloadLine {
  readonly #memory: Memory;
  readonly #node: number;
  readonly #own: number;

  constructor(memory: Memory, layout: Layout, worker: number) {
    this.#memory = memory;
    this.#node = layout.node();
    this.#own = layout.overload(worker);
  }

  pressure(resource: NodeResource): number {
    return Atomics.load(this.#memory, this.#node + NODE_RESOURCES[resource]) / ONE;
  }

  showPressure(resource: WorkerResource, pressure: number): void {
    Atomics.store(this.#memory, this.#own + WORKER_RESOURCES[resource], thousandths(pressure));
  }

  showAction(action: OverloadAction, state: number): void {
    Atomics.store(this.#memory, this.#own + OVERLOAD_ACTIONS[action], thousandths(state));
  }
}

/** The supervisor's end. */
export class OverloadAdmin {
  readonly #memory: Memory;
  readonly #layout: Layout;

  constructor(memory: Memory, layout: Layout) {
    this.#memory = memory;
    this.#layout = layout;
  }

  setPressure(resource: NodeResource, pressure: number): void {
    Atomics.store(this.#memory, this.#layout.node() + NODE_RESOURCES[resource], thousandths(pressure));
  }

  pressure(resource: NodeResource): number {
    return Atomics.load(this.#memory, this.#layout.node() + NODE_RESOURCES[resource]) / ONE;
  }

  workerPressure(worker: number, resource: WorkerResource): number {
    return Atomics.load(this.#memory, this.#layout.overload(worker) + WORKER_RESOURCES[resource]) / ONE;
  }

  action(worker: number, action: OverloadAction): number {
    return Atomics.load(this.#memory, this.#layout.overload(worker) + OVERLOAD_ACTIONS[action]) / ONE;
  }

  /** The worker has ended: what it showed is over. */
  giveBack(worker: number): void {
    const line = this.#layout.overload(worker);
    for (const word of [...Object.values(WORKER_RESOURCES), ...Object.values(OVERLOAD_ACTIONS)])
      Atomics.store(this.#memory, line + word, 0);
  }
}

/** Capped far above what any pressure means. */
function thousandths(share: number): number {
  return Math.round(Math.min(share, 1_000) * ONE);
}
