/**
 * `overloadManager`: what is watched, and which of Envoy's overload actions is taken when. A trigger is Envoy's
 * (config.overload.v3.Trigger): a threshold, or a range over which the action grows.
 */
import { z } from 'zod';
import { formatDuration, LIMITS } from '../../base/index.ts';
import { equal } from '../equal.ts';
import type {
  OverloadActionsConfig,
  OverloadManagerConfig,
  OverloadTriggerConfig,
} from '../overload-config.ts';
import type { CheckContext } from './context.ts';
import { duration, percent } from './measures.ts';
import { choice } from './names.ts';
import { flag, integer } from './scalar.ts';

const RESOURCES = ['memory', 'heap', 'eventLoop', 'acceptQueue', 'descriptors'] as const;

const trigger = z.strictObject({
  name: choice(RESOURCES, {
    'envoy.resource_monitors.fixed_heap': 'use memory (of the process), or heap (of a worker)',
    'envoy.resource_monitors.cgroup_memory': 'use memory',
    'envoy.resource_monitors.cpu_utilization': 'use eventLoop',
    cpu: 'use eventLoop',
  }).describe('A resource that is watched.'),
  threshold: percent()
    .optional()
    .describe('The action is taken in full from this share of the resource on. This or `scaled`.'),
  scaled: z
    .strictObject({
      scalingThreshold: percent().describe('Where the action begins.'),
      saturationThreshold: percent().describe('Where it is taken in full.'),
    })
    .optional()
    .describe('The action grows from one share of the resource to another.'),
});

type TriggerFields = z.infer<typeof trigger>;
type WrittenTrigger = z.input<typeof trigger>;

const at = (names: readonly (typeof RESOURCES)[number][], threshold: number): WrittenTrigger[] =>
  names.map((name) => ({ name, threshold }));
const over = (
  names: readonly (typeof RESOURCES)[number][],
  scalingThreshold: number,
  saturationThreshold: number,
): WrittenTrigger[] => names.map((name) => ({ name, scaled: { scalingThreshold, saturationThreshold } }));

/** An event loop that is late has room for neither: closing connections would cost it more than keeping them. */
const STORES = ['memory', 'heap', 'descriptors'] as const;

/** The steps: what is taken back first costs least. */
const USUAL = {
  shrinkHeap: at(['memory', 'heap'], 80),
  reduceTimeouts: over(STORES, 75, 90),
  disableHttpKeepalive: at(STORES, 85),
  stopAcceptingRequests: [...over(STORES, 85, 98), ...over(['eventLoop'], 50, 100)],
  rejectIncomingConnections: [...at(['memory', 'heap'], 95), ...at(['descriptors'], 90)],
  stopAcceptingConnections: at(['eventLoop'], 75),
  resetAcceptQueue: at(['acceptQueue'], 100),
} as const satisfies Record<keyof OverloadActionsConfig, WrittenTrigger[]>;

const action = (name: keyof typeof USUAL, what: string) =>
  z.array(trigger).prefault(USUAL[name]).describe(what);

export const overloadManagerSchema = z.strictObject({
  refreshInterval: duration({ min: 50, max: 60_000 })
    .prefault(formatDuration(LIMITS.overloadRefreshMs))
    .describe('Between two looks at every resource.'),
  resourceMonitors: z
    .strictObject({
      memory: z
        .strictObject({
          enabled: flag().prefault(true).describe('Watch it.'),
          maxMemoryBytes: integer({ min: 64 * 1024 * 1024, max: Number.MAX_SAFE_INTEGER, unit: 'bytes' })
            .optional()
            .describe(
              'The most the process should have. Default, and upper bound: the limit of its container; without either there is no pressure.',
            ),
        })
        .prefault({})
        .describe('Memory of the process (RSS), all workers and their buffers.'),
      heap: z
        .strictObject({ enabled: flag().prefault(true).describe('Watch it.') })
        .prefault({})
        .describe("Each worker's JavaScript heap, against V8's own limit."),
      eventLoop: z
        .strictObject({
          enabled: flag().prefault(true).describe('Watch it.'),
          maxDelay: duration({ min: 1, max: 60_000 })
            .prefault(formatDuration(LIMITS.overloadLoopDelayMs))
            .describe('How late the event loop of a worker may be, smoothed over about a second.'),
        })
        .prefault({})
        .describe('How long what is ready has to wait for its worker.'),
      acceptQueue: z
        .strictObject({
          enabled: flag().prefault(true).describe('Watch it.'),
          maxWait: duration({ min: 1, max: 60_000 })
            .prefault(formatDuration(LIMITS.overloadAcceptWaitMs))
            .describe('How long a new connection may wait for its worker, at the pace of the last refresh.'),
        })
        .prefault({})
        .describe('Connections that wait to be accepted (Linux only).'),
      descriptors: z
        .strictObject({
          enabled: flag().prefault(true).describe('Watch it.'),
          max: integer({ min: 64, max: 2 ** 31 - 1, unit: 'descriptors' })
            .optional()
            .describe('The most that may be open. Default, and upper bound: RLIMIT_NOFILE.'),
        })
        .prefault({})
        .describe('Open descriptors of the process: connections, above all.'),
    })
    .prefault({})
    .describe('What is watched.'),
  actions: z
    .strictObject({
      shrinkHeap: action('shrinkHeap', 'Workers collect their garbage, at most every 10 s.'),
      reduceTimeouts: action(
        'reduceTimeouts',
        'Idle connections of clients close sooner, down to minIdleTimeout.',
      ),
      disableHttpKeepalive: action(
        'disableHttpKeepalive',
        'Answers say `Connection: close`, HTTP/2 connections get GOAWAY.',
      ),
      stopAcceptingRequests: action(
        'stopAcceptingRequests',
        'Requests get 503 (flag OM): in the first half of the range a growing share of those with priority low, in the second half of those with priority default; then all but those with priority high.',
      ),
      rejectIncomingConnections: action(
        'rejectIncomingConnections',
        'New connections are closed at once; of a range, a growing share of them.',
      ),
      stopAcceptingConnections: action(
        'stopAcceptingConnections',
        'A worker stops to listen: the system refuses new connections, or gives them to other workers, and those that wait to be accepted are reset.',
      ),
      resetAcceptQueue: action(
        'resetAcceptQueue',
        'Connections that wait to be accepted are reset, so that those that come now are served before they give up.',
      ),
    })
    .prefault({})
    .describe('What is done about it, each with its triggers; the one that asks for most counts. []: never.'),
  minIdleTimeout: duration({ min: 1 })
    .prefault(formatDuration(LIMITS.overloadIdleMs))
    .describe('What reduceTimeouts brings `timeouts.idle` of listeners down to.'),
});

type OverloadFields = z.infer<typeof overloadManagerSchema>;

/** As the schema reads them. */
const USUAL_READ = overloadManagerSchema.parse({}).actions;

export function checkOverloadManager(fields: OverloadFields | undefined, context: CheckContext): void {
  if (fields === undefined) return;
  const { actions, resourceMonitors } = fields;
  const names = Object.keys(actions) as (keyof typeof actions)[];
  for (const name of names) {
    const triggers = actions[name];
    const isUsual = equal(triggers, USUAL_READ[name]);
    triggers.forEach((each, i) => {
      const path = ['overloadManager', 'actions', name, i];
      if ((each.threshold === undefined) === (each.scaled === undefined))
        context.faultIfWhole({
          path,
          expected: 'threshold or scaled',
          found: each.threshold === undefined ? 'neither' : 'both',
          cure: 'write { name: memory, threshold: 95% }, or scaled: { scalingThreshold: 85%, saturationThreshold: 95% }',
        });
      if (each.scaled !== undefined && each.scaled.saturationThreshold <= each.scaled.scalingThreshold)
        context.faultIfWhole({
          path: [...path, 'scaled', 'saturationThreshold'],
          expected: 'more than scalingThreshold',
          cure: 'raise it, or write threshold in place of scaled',
        });
      if (!resourceMonitors[each.name].enabled && !isUsual)
        context.faultIfWhole({
          path: [...path, 'name'],
          severity: 'warning',
          expected: 'a resource that is watched',
          found: `${each.name}, which is not enabled`,
          cure: 'the trigger never fires; remove it, or enable the monitor',
        });
    });
  }
}

export function overloadManagerDraft(fields: OverloadFields | undefined): OverloadManagerConfig | null {
  if (fields === undefined) return null;
  const { memory, heap, eventLoop, acceptQueue, descriptors } = fields.resourceMonitors;
  const { actions } = fields;
  return {
    refreshIntervalMs: fields.refreshInterval,
    monitors: {
      memory: memory.enabled ? { maxBytes: memory.maxMemoryBytes ?? null } : null,
      heap: heap.enabled,
      eventLoop: eventLoop.enabled ? { maxDelayMs: eventLoop.maxDelay } : null,
      acceptQueue: acceptQueue.enabled ? { maxWaitMs: acceptQueue.maxWait } : null,
      descriptors: descriptors.enabled ? { max: descriptors.max ?? null } : null,
    },
    actions: Object.fromEntries(
      Object.entries(actions).map(([name, triggers]) => [name, triggers.map(triggerDraft)]),
    ) as unknown as OverloadActionsConfig,
    minIdleTimeoutMs: fields.minIdleTimeout,
  };
}

function triggerDraft({ name, threshold = 0, scaled }: TriggerFields): OverloadTriggerConfig {
  return {
    resource: name,
    scaling: (scaled?.scalingThreshold ?? threshold) / 100,
    saturation: (scaled?.saturationThreshold ?? threshold) / 100,
  };
}
