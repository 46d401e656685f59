/** The connections of a service that take requests, by endpoint, the most recently used last: the others age and are closed. */
import { LIMITS } from '../../base/index.ts';
import type { RequestConnection, UpstreamConnection } from './connection.ts';

export class FreeConnections {
  private readonly bySlot = new Map<number, RequestConnection[]>();

  /** The one to use next for this endpoint; `origin` as a link has it. */
  last(endpointSlot: number, origin: string): RequestConnection | undefined {
    const list = this.bySlot.get(endpointSlot);
    return origin === '' ? list?.at(-1) : list?.findLast(({ link }) => link.origin === origin);
  }

  /** Returns one that is too many now. */
  add(connection: RequestConnection): RequestConnection | null {
    const { endpointSlot } = connection.link;
    const list = this.bySlot.get(endpointSlot);
    if (list === undefined) this.bySlot.set(endpointSlot, [connection]);
    else if (connection.protocol !== 'http2' || !list.includes(connection)) {
      list.push(connection);
      if (list.length > LIMITS.idleConnectionsPerEndpoint) return list[0] as RequestConnection;
    }
    return null;
  }

  /** Harmless for one that is not among them. */
  remove(connection: UpstreamConnection): void {
    const { endpointSlot } = connection.link;
    const list = this.bySlot.get(endpointSlot);
    if (list === undefined) return;
    if (list.at(-1) === connection) list.pop();
    else {
      const at = (list as UpstreamConnection[]).indexOf(connection);
      if (at >= 0) list.splice(at, 1);
    }
    if (list.length === 0) this.bySlot.delete(endpointSlot);
  }

  oldestIdle(): RequestConnection | null {
    for (const list of this.bySlot.values()) {
      const first = list.find((connection) => connection.isIdle);
      if (first !== undefined) return first;
    }
    return null;
  }

  /** A copy, so that they may be removed meanwhile. */
  all(): RequestConnection[] {
    return [...this.bySlot.values()].flat();
  }
}
