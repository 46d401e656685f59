/** Every scenario, in the order a full run goes through them. */
import { oneHop } from './one-hop.ts';
import type { Scenario } from './scenario.ts';

export const SCENARIOS: readonly Scenario[] = [oneHop];
