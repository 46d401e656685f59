/** Cross-origin resource sharing on a rule: Gateway API's HTTPCORSFilter, its fields, its rules, its draft. */
import { z } from 'zod';
import type { CorsConfig } from '../route-config.ts';
import type { CheckContext } from './context.ts';
import { headerName, method } from './names.ts';
import { flag, integer, type Leaf, Refusal, text } from './scalar.ts';
import type { Path } from './source-text.ts';

export const corsSchema = z.strictObject({
  allowOrigins: z
    .array(origin())
    .prefault([])
    .describe(
      'Pages that may read answers: https://shop.example:8443, https://*.shop.example for every name below, or "*" alone for all. Empty: none.',
    ),
  allowCredentials: flag().prefault(false).describe('Requests may carry cookies and authorization.'),
  allowMethods: z
    .array(orAny(method()))
    .prefault([])
    .describe('Besides GET, HEAD and POST, which need no leave. "*" alone: every one.'),
  allowHeaders: z
    .array(orAny(headerName('match')))
    .prefault([])
    .describe('Request headers besides those that need no leave. "*" alone: every one.'),
  exposeHeaders: z
    .array(orAny(headerName('match')))
    .prefault([])
    .describe('Answer headers that pages may read, besides those that need no leave. "*" alone: every one.'),
  maxAge: integer({ min: 1, max: 86_400, unit: 'seconds' })
    .prefault(5)
    .describe('How long a browser may remember the answer to a preflight.'),
});

export type CorsFields = z.infer<typeof corsSchema>;

/** There is one: `checkFilters` saw to that. */
export function corsDraft(cors: CorsFields = corsSchema.parse({})): CorsConfig {
  return {
    allowOrigins: [...new Set(cors.allowOrigins)],
    allowCredentials: cors.allowCredentials,
    allowMethods: [...new Set(cors.allowMethods)],
    allowHeaders: [...new Set(cors.allowHeaders)],
    exposeHeaders: [...new Set(cors.exposeHeaders)],
    maxAgeSeconds: cors.maxAge,
  };
}

/** `methods`: those that the rule's matches state; null: one takes every method. */
export function checkCors(
  cors: CorsFields,
  methods: ReadonlySet<string> | null,
  path: Path,
  context: CheckContext,
): void {
  for (const key of ['allowOrigins', 'allowMethods', 'allowHeaders', 'exposeHeaders'] as const)
    if (cors[key].includes('*') && cors[key].length > 1)
      context.fault({
        path: [...path, key],
        expected: '"*" alone, or names without it',
        found: 'both',
        cure: 'remove the names: "*" holds them all',
      });
  if (cors.allowOrigins.length === 0)
    context.faultIfWhole({
      path: [...path, 'allowOrigins'],
      severity: 'warning',
      expected: 'at least one origin',
      found: 'none',
      cure: 'browsers are told that no page may read anything; list the origins, or remove the filter',
    });
  if (cors.allowCredentials && cors.exposeHeaders.includes('*'))
    context.fault({
      path: [...path, 'exposeHeaders'],
      expected: 'names beside allowCredentials: true',
      cure: 'with credentials browsers take "*" for a name; list the headers',
    });
  if (cors.allowCredentials && cors.allowOrigins.includes('*'))
    context.fault({
      path: [...path, 'allowOrigins'],
      severity: 'warning',
      expected: 'origins beside allowCredentials: true',
      cure: 'every website may act with the login of whoever visits it; list the origins',
    });
  if (methods !== null && !methods.has('OPTIONS'))
    context.faultIfWhole({
      path,
      severity: 'warning',
      expected: 'a match without method, or one with method: OPTIONS',
      found: `matches for ${[...methods].join(', ')} only`,
      cure: 'preflights are OPTIONS and go elsewhere; add a match with method: OPTIONS',
    });
}

/** Scheme, host, port: what Gateway API's pattern of CORSOrigin takes, for the two schemes that a page can have. */
const ORIGIN =
  /^(https?):\/\/(\*|(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/;

/** In lower case, as browsers write it: without the port that its scheme has by default. */
function origin(): Leaf<string> {
  return text({
    expected: 'an origin such as https://shop.example or "https://*.shop.example:8443", or "*"',
    json: { examples: ['https://shop.example', 'https://*.shop.example', '*'] },
    read(written) {
      if (written === '*') return written;
      const lower = written.toLowerCase();
      const parts = ORIGIN.exec(lower);
      if (parts === null) return new Refusal(originCure(lower));
      const [, scheme, host, port] = parts;
      if (Number(port ?? 1) > 65_535 || Number(port ?? 1) < 1) return new Refusal('ports end at 65535');
      const usual = port === undefined || Number(port) === (scheme === 'https' ? 443 : 80);
      return `${scheme}://${host}${usual ? '' : `:${Number(port)}`}`;
    },
  });
}

function originCure(written: string): string | null {
  if (written === 'null') return 'sandboxed pages have no origin; they can be allowed by "*" alone';
  if (!written.includes('://')) return `write https://${written}`;
  if (/^https?:\/\/[^/]+\/./.test(written)) return 'leave the path out; an origin is scheme, host and port';
  if (/^https?:\/\/[^/]+\/$/.test(written)) return `remove the slash at the end: ${written.slice(0, -1)}`;
  if (written.includes('*')) return 'a wildcard is "*." in front of the host, or the whole host';
  return null;
}

function orAny(names: Leaf<string>): z.ZodType<string, string> {
  return z.union([
    text({
      expected: '"*"',
      json: { enum: ['*'] },
      read: (written) => (written === '*' ? '*' : new Refusal(null)),
    }),
    names,
  ]);
}
