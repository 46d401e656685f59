/** Faults on purpose: the `fault` of a rule, its fields, its rules, its draft. Istio's shape, with what Envoy has besides. */
import { z } from 'zod';
import { LIMITS } from '../../base/index.ts';
import type { FaultConfig } from '../route-config.ts';
import type { CheckContext } from './context.ts';
import { duration, percent } from './measures.ts';
import type { RuleFields } from './route-schema.ts';
import { flag, integer } from './scalar.ts';
import type { Path } from './source-text.ts';

const BY_CALLER =
  'Only from trustedCallers of the listener; they may lower the percentage by the same header with';

export const faultInjectionSchema = z.strictObject({
  delay: z
    .strictObject({
      percentage: percent().prefault(100).describe('Of the requests of the rule.'),
      fixedDelay: duration({ min: 1, max: LIMITS.faultDelayMs })
        .optional()
        .describe('Before the request is sent on. No timeout counts it.'),
      headerDelay: flag()
        .prefault(false)
        .describe(
          `In place of fixedDelay: x-envoy-fault-delay-request says how many milliseconds. ${BY_CALLER} -percentage.`,
        ),
    })
    .optional()
    .describe('Holds requests up.'),
  abort: z
    .strictObject({
      percentage: percent().prefault(100).describe('Of the requests of the rule, delayed ones included.'),
      httpStatus: integer({ min: 200, max: 599 }).optional().describe('Status of the answer. Default: 503.'),
      grpcStatus: integer({ min: 1, max: 16 })
        .optional()
        .describe('To gRPC calls. Default: the status that httpStatus maps to.'),
      headerAbort: flag()
        .prefault(false)
        .describe(
          `In place of both: x-envoy-fault-abort-request says the status, or x-envoy-fault-abort-grpc-request that of a gRPC call. ${BY_CALLER} -percentage (of the first).`,
        ),
    })
    .optional()
    .describe('Answers requests, and asks no backend.'),
  responseRateLimit: z
    .strictObject({
      percentage: percent().prefault(100).describe('Of the requests of the rule.'),
      limitKbps: integer({ min: 1, max: 1_048_576, unit: 'KiB per second' })
        .optional()
        .describe("For each answer's body."),
      headerLimit: flag()
        .prefault(false)
        .describe(
          `In place of limitKbps: x-envoy-fault-throughput-response says how many. ${BY_CALLER} -percentage.`,
        ),
    })
    .optional()
    .describe('Sends the bodies of answers slowly, and reads them from backends no faster.'),
});

export type FaultFields = z.infer<typeof faultInjectionSchema>;

export function faultDraft({ delay, abort, responseRateLimit: rate }: FaultFields): FaultConfig {
  return {
    delay: delay === undefined ? null : { percent: delay.percentage, delayMs: delay.fixedDelay ?? null },
    abort:
      abort === undefined
        ? null
        : {
            percent: abort.percentage,
            fixed: abort.headerAbort
              ? null
              : { status: abort.httpStatus ?? 503, grpcStatus: abort.grpcStatus ?? null },
          },
    responseRateLimit: rate === undefined ? null : { percent: rate.percentage, kbps: rate.limitKbps ?? null },
  };
}

export function checkFaultInjection({ fault, filters }: RuleFields, path: Path, context: CheckContext): void {
  if (fault === undefined) return;
  const { delay, abort, responseRateLimit: rate } = fault;
  if (delay === undefined && abort === undefined && rate === undefined)
    context.faultIfWhole({
      path,
      expected: 'delay, abort or responseRateLimit',
      found: 'none of them',
      cure: 'write delay: { percentage: 10, fixedDelay: 2s }, or remove it',
    });
  const oneOf = (key: string, own: string, stated: boolean, other: string, byHeader: boolean): void => {
    if (stated !== byHeader) return;
    context.faultIfWhole({
      path: [...path, key],
      expected: `${own} or ${other}: true`,
      found: stated ? 'both' : 'neither',
      cure: stated ? 'keep one' : `add ${own}`,
    });
  };
  if (delay !== undefined)
    oneOf('delay', 'fixedDelay', delay.fixedDelay !== undefined, 'headerDelay', delay.headerDelay);
  if (rate !== undefined)
    oneOf('responseRateLimit', 'limitKbps', rate.limitKbps !== undefined, 'headerLimit', rate.headerLimit);
  if (abort?.headerAbort && (abort.httpStatus !== undefined || abort.grpcStatus !== undefined))
    context.fault({
      path: [...path, 'abort', 'headerAbort'],
      expected: 'no httpStatus or grpcStatus beside headerAbort: true',
      cure: 'keep one',
    });
  const answers = filters.find((f) => f.type === 'RequestRedirect' || f.type === 'DirectResponse');
  if (answers !== undefined)
    context.fault({
      path,
      expected: `no fault beside a filter of type ${answers.type}`,
      cure: 'the filter answers already; remove one of the two',
    });
}
