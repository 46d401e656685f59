/**
 * Requests that wait for a connection of a service, in the order in which they are to get one: callers take turns, a request each,
 * so that who sends many waits behind his own. It is fair queueing by turns (start-time fair queueing, where each
 * request costs the same): a request takes the turn after its caller's last one that waits here, but none that has gone by,
 * and within a turn those go first that came first. With one caller that is the order of arrival.
 */
import type { Link } from './link.ts';
import type { Waiter } from './waiter.ts';

export interface Waiting {
  readonly waiter: Waiter;
  readonly turn: number;
  /** The connection being dialled for it; null: there was no slot. */
  dialled: Link | null;
}

export class WaitQueue {
  /** In order of turns. */
  readonly entries: Waiting[] = [];
  /** Of the request that was taken out last. */
  private turn = 0;

  add(waiter: Waiter): Waiting {
    const { entries } = this;
    const last = this.lastOf(waiter.client.caller);
    const turn = last === null ? this.turn : Math.max(this.turn, last.turn + 1);
    const entry: Waiting = { waiter, turn, dialled: null };
    let at = entries.length;
    while (at > 0 && (entries[at - 1] as Waiting).turn > turn) at--;
    if (at === entries.length) entries.push(entry);
    else entries.splice(at, 0, entry);
    return entry;
  }

  /** Takes out the entry at this place. */
  take(at: number): Waiting {
    const [entry] = this.entries.splice(at, 1) as [Waiting];
    this.turn = this.entries.length === 0 ? 0 : Math.max(this.turn, entry.turn);
    return entry;
  }

  /** Takes out one that gives up, or is to go: nobody's turn has come by that. */
  remove(at: number): Waiting {
    const [entry] = this.entries.splice(at, 1) as [Waiting];
    return entry;
  }

  indexOf(waiter: Waiter): number {
    return this.entries.findIndex((entry) => entry.waiter === waiter);
  }

  dialledFor(link: Link): number {
    return this.entries.findIndex((entry) => entry.dialled === link);
  }

  hasSlotless(): boolean {
    return this.entries.some((entry) => entry.dialled === null);
  }

  /**
   * The youngest request of the caller with most, if `caller` would still have fewer after one more; -1: there is none. When
   * there is no room it goes instead of one of `caller`.
   */
  rivalOf(caller: number): number {
    const { entries } = this;
    let own = 0;
    for (let i = 0; i < entries.length; i++)
      if ((entries[i] as Waiting).waiter.client.caller === caller) own++;
    // Who floods is asked for at every request of his: nobody can have more.
    if (2 * own + 2 > entries.length) return -1;
    const counts = new Map<number, number>();
    for (const { waiter } of entries)
      counts.set(waiter.client.caller, (counts.get(waiter.client.caller) ?? 0) + 1);
    let most = own + 1;
    let rival = caller;
    for (const [each, count] of counts) {
      if (count <= most) continue;
      most = count;
      rival = each;
    }
    return rival === caller ? -1 : entries.findLastIndex(({ waiter }) => waiter.client.caller === rival);
  }

  private lastOf(caller: number): Waiting | null {
    const { entries } = this;
    for (let i = entries.length - 1; i >= 0; i--) {
      const entry = entries[i] as Waiting;
      if (entry.waiter.client.caller === caller) return entry;
    }
    return null;
  }
}
