/** The PROXY protocol: on a listener, what proxies in front say; on a service, what its endpoints are told. */
import { z } from 'zod';
import { LIMITS } from '../../base/index.ts';
import { ipRange } from './addresses.ts';
import type { CheckContext } from './context.ts';
import { choice } from './names.ts';
import { flag } from './scalar.ts';
import type { Path } from './source-text.ts';

const VERSIONS = ['v1', 'v2'] as const;
const version = () => choice(VERSIONS, { V1: 'write v1', V2: 'write v2', '1': 'write v1', '2': 'write v2' });

export const proxyProtocolSchema = z.strictObject({
  trustedProxies: z
    .array(ipRange())
    .max(LIMITS.trustedCallers, `at most ${LIMITS.trustedCallers} ranges`)
    .describe(
      'Who may send the header; from anybody else it is refused. 0.0.0.0/0 and "::/0" are everybody.',
    ),
  optional: flag()
    .prefault(false)
    .describe(
      'Connections without the header are taken too, under their own address. false: they are closed, and those of others than trustedProxies are.',
    ),
  versions: z
    .array(version())
    .prefault([...VERSIONS])
    .describe('Those that are understood.'),
});

export const upstreamProxyProtocol = version;

export type ProxyProtocolFields = z.infer<typeof proxyProtocolSchema>;

export function checkProxyProtocol(
  { trustedProxies, versions }: ProxyProtocolFields,
  path: Path,
  context: CheckContext,
): void {
  if (trustedProxies.length === 0)
    context.faultIfWhole({
      path: [...path, 'trustedProxies'],
      expected: 'at least one range',
      found: 'none',
      cure: 'name the load balancers in front: [10.0.0.0/8]',
    });
  if (versions.length === 0)
    context.faultIfWhole({
      path: [...path, 'versions'],
      expected: 'v1, v2 or both',
      found: 'none',
      cure: 'remove it: the default is both',
    });
}
