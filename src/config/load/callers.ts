/** Limits of single callers, for the whole node: their schema, and the checked section as part of the snapshot. */
import { z } from 'zod';
import { formatDuration, LIMITS } from '../../base/index.ts';
import type { CallersConfig } from '../callers.ts';
import { duration } from './measures.ts';
import { choice } from './names.ts';
import { COUNT_MAX, integer } from './scalar.ts';
import type { ConfigFields } from './schema.ts';

const offences = z.strictObject({
  burst: integer({ min: 1, max: 1_000, unit: 'offences' })
    .prefault(LIMITS.callerOffences)
    .describe('Offences that are forgiven at once.'),
  refill: duration({ min: 100, max: 3_600_000 })
    .prefault(formatDuration(LIMITS.callerOffenceRefillMs))
    .describe('One more is forgiven so often.'),
  penalty: duration({ min: 100, max: 86_400_000 })
    .prefault(formatDuration(LIMITS.callerPenaltyMs))
    .describe('How long new connections are reset after one that was not; those that are open go on.'),
});

export const callersSchema = z.strictObject({
  maxConnections: integer({ min: 0, max: COUNT_MAX, unit: 'connections' })
    .prefault(LIMITS.callerConnections)
    .describe('Open connections; one more is reset as soon as it is accepted. 0: any number.'),
  maxRequests: integer({ min: 0, max: COUNT_MAX, unit: 'requests' })
    .prefault(LIMITS.callerRequests)
    .describe('Requests under way; one more is refused (429, flag RL). 0: any number.'),
  maxBufferedBytes: integer({ min: 0, max: Number.MAX_SAFE_INTEGER, unit: 'bytes' })
    .prefault(LIMITS.callerBufferedBytes)
    .describe(
      'Bytes that wait: of answers, because the caller reads slowly; of uploads, because endpoints do, or for a retry. Above it each of its connections may hold less of them, nothing is kept for retries, and new requests are refused (429, flag RL). 0: off.',
    ),
  turn: duration({ min: 0, max: 1_000 })
    .prefault(formatDuration(LIMITS.callerTurnMs))
    .describe(
      'How long a worker attends to what one caller has sent, while others send too, before it attends to them; of TLS handshakes it does one of each caller at a time. 0s: off.',
    ),
  offences: z
    .union([choice(['off']), offences])
    .prefault({})
    .describe(
      'Connections that end by the fault of their caller: floods, broken HTTP/2, request heads that are never completed.',
    ),
  ipv6PrefixLength: integer({ min: 32, max: 128, unit: 'bits' })
    .prefault(64)
    .describe(
      'Public IPv6 addresses that share so many bits are one caller. 128 where pods have public addresses of one network; unique local addresses (fc00::/7) always count one by one.',
    ),
});

export function callersConfig(fields: ConfigFields['callers']): CallersConfig {
  const { offences: stated, turn, ...limits } = fields;
  return {
    ...limits,
    turnMs: turn,
    offences:
      stated === 'off' ? null : { burst: stated.burst, refillMs: stated.refill, penaltyMs: stated.penalty },
  };
}
