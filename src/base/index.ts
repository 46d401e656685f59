/** base: what everything else may use. It knows nothing of proxies but their failure codes and limits. */

export { acceptQueue, socketInode } from './accept-queue.ts';
export { invariant } from './assert.ts';
export { type AltNames, altNames, nameMismatch, normalName } from './certificate-names.ts';
export { type Clock, FakeClock, systemClock } from './clock.ts';
export { collectGarbage, collectWithoutHelpers } from './collect-garbage.ts';
export { descriptorsMax, descriptorsOpen } from './descriptors.ts';
export { formatDuration, parseDuration } from './duration.ts';
export {
  cureOf,
  FAILURE_KINDS,
  type Failure,
  type FailureKind,
  failure,
  type Origin,
  type Retry,
} from './failure.ts';
export {
  type AddressWords,
  addressText,
  type IpRange,
  inRange,
  ipv4Text,
  ipv6Text,
  isMappedIpv4,
  networkOf,
  parseAddress,
  parseIpRange,
} from './ip-range.ts';
export { joinSmall } from './join-small.ts';
export { LIMITS } from './limits.ts';
export { TICK_MS, Timer, type TimerOwner, TimerWheel } from './timer-wheel.ts';
export { atPassEnd, atTurnEnd, type PassTask, type TurnTask, turnClock } from './turn.ts';
