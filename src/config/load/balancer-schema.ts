/**
 * How a service chooses an endpoint: the policy, what localities mean, slow start. Names are Istio's (DestinationRule) and
 * Envoy's.
 */
import { z } from 'zod';
import { localityPattern, localityWeights } from './locality-leaves.ts';
import { duration, percent, requestPath } from './measures.ts';
import { anyText, choice, cookieName, headerName, objectName } from './names.ts';
import { flag, integer, leaf, Refusal } from './scalar.ts';

/** At most so many points or places: each worker makes them anew when endpoints change. */
const RING_MAX = 262_144;
const TABLE_MAX = 1_000_003;
const FAILOVER_LABELS_MAX = 16;

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false;
  return number > 1;
}

/** Places of Maglev's table. */
const tableSize = () =>
  leaf<number, number>({
    expected: `a prime number up to ${TABLE_MAX}`,
    json: { type: 'integer', minimum: 2, maximum: TABLE_MAX },
    read(value) {
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 2 || value > TABLE_MAX)
        return new Refusal(null);
      if (isPrime(value)) return value;
      let next = value;
      while (!isPrime(next)) next++;
      return new Refusal(`the next prime is ${next}`);
    },
  });

/** 0, or a percentage from 100 on. */
const balanceFactor = () =>
  leaf<number, number>({
    expected: '0, or a whole number from 100 to 10000 (percent)',
    json: { type: 'integer', minimum: 0, maximum: 10_000 },
    read(value) {
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 10_000)
        return new Refusal(null);
      return value === 0 || value >= 100
        ? value
        : new Refusal('below 100 there would not be room for all requests; 150 is a common value');
    },
  });

const consistentHash = z.strictObject({
  httpHeaderName: headerName('match').optional().describe('The key is the value of this header.'),
  httpCookie: z
    .strictObject({
      name: cookieName().describe('Its name.'),
      path: requestPath().optional().describe('Path of a cookie that is made. Default: that of the request.'),
      ttl: duration({ min: 0, max: 365 * 86_400_000 })
        .optional()
        .describe('A client without the cookie is given one for so long; 0s: for its session. Absent: none.'),
    })
    .optional()
    .describe('The key is the value of this cookie.'),
  httpQueryParameterName: anyText('the name of a query parameter', 256)
    .optional()
    .describe('The key is the value of this query parameter.'),
  useSourceIp: flag()
    .prefault(false)
    .describe("The key is the client's address: the one that trusted proxies name, else the peer's."),
  minimumRingSize: integer({ min: 1, max: RING_MAX, unit: 'points' })
    .prefault(1024)
    .describe('ring-hash: at least so many points, shared out by weight.'),
  maximumRingSize: integer({ min: 1, max: RING_MAX, unit: 'points' })
    .prefault(65_536)
    .describe('ring-hash: at most so many, however small the smallest weight.'),
  tableSize: tableSize().prefault(65_537).describe('maglev: places of the table, a prime number.'),
  hashBalanceFactor: balanceFactor()
    .prefault(0)
    .describe(
      'No endpoint gets more than this percentage of its share of the requests in flight; what is beyond goes to others. 0: no bound.',
    ),
});

const peakEwma = z.strictObject({
  defaultRtt: duration({ min: 1, max: 60_000 })
    .prefault('30ms')
    .describe('Taken for the latency of an endpoint that has not answered yet.'),
  decay: duration({ min: 1, max: 3_600_000 })
    .prefault('10s')
    .describe('In this time a latency falls to 1/e while no answer comes.'),
});

const slowStart = z.strictObject({
  window: duration({ min: 1, max: 86_400_000 }).describe(
    'How long an endpoint takes to come to its whole weight.',
  ),
  aggression: leaf<number, number>({
    expected: 'a number above 0, up to 100',
    json: { type: 'number', exclusiveMinimum: 0, maximum: 100 },
    read: (value) =>
      typeof value === 'number' && value > 0 && value <= 100 ? value : new Refusal('1 grows evenly'),
  })
    .prefault(1)
    .describe('1: grows evenly; above: faster in the beginning; below: slower.'),
  minWeightPercent: percent().prefault(10).describe('Of its weight, what it begins with.'),
});

const zoneAware = z.strictObject({
  localService: objectName().describe(
    "The service whose endpoints are the callers, with their localities: Envoy's local cluster. This node is one of them.",
  ),
  minClusterSize: integer({ min: 0, max: 1_000_000, unit: 'endpoints' })
    .prefault(6)
    .describe('With fewer healthy endpoints zones are disregarded.'),
  routingEnabled: percent().prefault(100).describe('Of requests, those that it is done for.'),
});

const locality = z.strictObject({
  failover: z
    .array(
      z.strictObject({
        from: anyText('a region', 256).describe('Region of a node.'),
        to: anyText('a region', 256).describe('Region whose endpoints come before those of other regions.'),
      }),
    )
    .optional()
    .describe(
      'The nearer endpoints first, as priorities: same sub-zone, zone, region, region to fail over to, others. May be empty.',
    ),
  failoverPriority: z
    .array(anyText('a label, or label=value', 574))
    .min(1)
    .max(FAILOVER_LABELS_MAX)
    .optional()
    .describe(
      'Labels that count, in order: endpoints that have all of them in common with this node are first, then those with all but the last, and so on. label=value asks for that value.',
    ),
  distribute: z
    .array(
      z.strictObject({
        from: localityPattern().describe('Nodes that this is for; the first one that fits counts.'),
        to: localityWeights().describe(
          'Percent of requests by locality of endpoints, 100 together. Other localities get none.',
        ),
      }),
    )
    .optional()
    .describe('Shares by locality, diminished as endpoints become unavailable.'),
  zoneAware: zoneAware
    .optional()
    .describe('Requests stay in the zone as far as all endpoints still get the same number of them.'),
});

export const loadBalancerSchema = z.strictObject({
  policy: choice(['least-request', 'round-robin', 'random', 'ring-hash', 'maglev', 'peak-ewma'], {
    least_conn: 'use least-request',
    ewma: 'use peak-ewma',
  })
    .prefault('least-request')
    .describe(
      'least-request: the less busy of two random ones, by weight; peak-ewma: of two random ones that which has answered sooner, for the requests it has; ring-hash and maglev: the one that the key of the request belongs to.',
    ),
  consistentHash: consistentHash.optional().describe('The key of ring-hash and maglev, and their tables.'),
  peakEwma: peakEwma.optional().describe('How peak-ewma measures.'),
  slowStart: slowStart
    .optional()
    .describe(
      'least-request and round-robin: new endpoints, and those back from ill health, begin with a small part of their weight. Absent: off.',
    ),
  overprovisioningFactor: integer({ min: 100, max: 10_000, unit: 'percent' })
    .prefault(140)
    .describe(
      'A priority or locality keeps all of its load while the share of its available endpoints times this is 100 % or more.',
    ),
  locality: locality
    .optional()
    .describe(
      'What the localities of endpoints are for: one of failover, failoverPriority, distribute, zoneAware. Absent: nothing.',
    ),
});
