/**
 * A rule's backends by weight (Gateway API's BackendRef: proportional to weight over the sum of weights).
 * Sums are made when configuration arrives; a pick is one comparison for one backend, and a walk over at
 * most 16 sums otherwise. No backend, or only weights of 0, picks nothing: the request is answered 500.
 */
import type { BackendRef } from '../../config/index.ts';
import { compileAnswer, type FixedAnswer } from './answer.ts';
import { compileHeaderEdit, type HeaderEdit } from './header-edit.ts';
import { compileRequestEdit, type RequestEdit } from './request-edit.ts';

export interface BackendChoice {
  readonly service: string;
  /** Of the service; empty: all its endpoints. */
  readonly subset: string;
  /** Applied after the rule's own request edit. */
  readonly request: RequestEdit | null;
  /** Applied before the rule's own response edit. */
  readonly response: HeaderEdit | null;
  readonly answer: FixedAnswer | null;
}

export class WeightedBackends {
  private readonly choices: readonly BackendChoice[];
  /** Sum of the weights up to and including each choice. */
  private readonly sums: readonly number[];

  constructor(backends: readonly BackendRef[], prefix: string | null) {
    const choices: BackendChoice[] = [];
    const sums: number[] = [];
    let sum = 0;
    for (const { service, subset, weight, filters } of backends) {
      if (weight <= 0) continue;
      sum += weight;
      sums.push(sum);
      choices.push({
        service,
        subset: subset ?? '',
        request: compileRequestEdit(filters, prefix),
        response: compileHeaderEdit(filters, 'ResponseHeaderModifier'),
        answer: compileAnswer(filters, prefix),
      });
    }
    this.choices = choices;
    this.sums = sums;
  }

  /** One of the backends by weight, or null when none takes traffic. `random` is in [0, 1). */
  pick(random: number): BackendChoice | null {
    const last = this.choices.length - 1;
    if (last < 0) return null;
    let at = 0;
    if (last > 0) {
      const point = random * (this.sums[last] as number);
      while (at < last && point >= (this.sums[at] as number)) at++;
    }
    return this.choices[at] as BackendChoice;
  }
}
