/** The last `LIMITS.decisionsKept` decision records, for `/decisions`. */
import { LIMITS } from '../../base/index.ts';
import type { Decision } from '../../telemetry/index.ts';

export class DecisionStore {
  private readonly ring: (Decision | undefined)[];
  /** A mesh passes one request id from hop to hop, so an id may have several records; oldest first. */
  private readonly byRequest = new Map<string, Decision[]>();
  private next = 0;

  constructor(capacity: number = LIMITS.decisionsKept) {
    this.ring = new Array<Decision | undefined>(capacity).fill(undefined);
  }

  add(decisions: readonly Decision[]): void {
    for (const decision of decisions) {
      const oldest = this.ring[this.next];
      if (oldest !== undefined) this.forget(oldest);
      this.ring[this.next] = decision;
      this.next = (this.next + 1) % this.ring.length;
      const known = this.byRequest.get(decision.requestId);
      if (known === undefined) this.byRequest.set(decision.requestId, [decision]);
      else known.push(decision);
    }
  }

  /** Newest first: those of one request, or the last ones of all; at most `limit`. */
  find(query: { readonly requestId: string | null; readonly limit: number }): readonly Decision[] {
    if (query.requestId !== null) {
      const known = this.byRequest.get(query.requestId) ?? [];
      return known.slice(-query.limit).reverse();
    }
    const found: Decision[] = [];
    for (let i = 1; i <= this.ring.length && found.length < query.limit; i++) {
      const decision = this.ring[(this.next - i + this.ring.length) % this.ring.length];
      if (decision === undefined) break;
      found.push(decision);
    }
    return found;
  }

  /** Records leave in the order they came, so it is the first of its request. */
  private forget(decision: Decision): void {
    const known = this.byRequest.get(decision.requestId) as Decision[];
    if (known.length === 1) this.byRequest.delete(decision.requestId);
    else known.shift();
  }
}
