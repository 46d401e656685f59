/** What endpoints say of themselves beside their address, the subsets that they make, and whose endpoint a client keeps. */
import { z } from 'zod';
import { localitySchema } from './locality-leaves.ts';
import { duration, requestPath } from './measures.ts';
import { anyText, choice, cookieName, objectName } from './names.ts';
import { flag, integer } from './scalar.ts';

export const labelsSchema = () =>
  z.record(anyText('the name of a label', 317), anyText('the value of a label', 256));

export const endpointFields = {
  priority: integer({ min: 0, max: 127 })
    .prefault(0)
    .describe('0 is first; the others get what the endpoints before them have no room for.'),
  locality: localitySchema().optional().describe('Where it is. Absent: not known.'),
  labels: labelsSchema().optional().describe('What subsets and failoverPriority go by.'),
};

export const subsetFields = {
  subsets: z
    .array(
      z.strictObject({
        name: objectName().describe('Unique among the subsets of the service; backendRefs name it.'),
        labels: labelsSchema().describe('An endpoint is in it that has all of these.'),
      }),
    )
    .prefault([])
    .describe("Parts of the endpoints, for backendRefs[].subset: Istio's subsets."),
  subsetFallbackPolicy: choice(['none', 'any-endpoint', 'default-subset'], {
    NO_FALLBACK: 'write none',
    ANY_ENDPOINT: 'write any-endpoint',
    DEFAULT_SUBSET: 'write default-subset',
  })
    .prefault('none')
    .describe(
      'Where requests go for a subset that has no endpoints; none: 503 (flag UH). Endpoints that are unhealthy are endpoints.',
    ),
  defaultSubset: objectName().optional().describe('The subset of default-subset.'),
};

export const sessionPersistenceSchema = z.strictObject({
  type: choice(['Cookie', 'Header'])
    .prefault('Cookie')
    .describe(
      'What names the endpoint: a cookie, which clients send again by themselves, or a header of answers, which a client that knows of it sends with its requests.',
    ),
  sessionName: cookieName().describe('Name of the cookie or header. It holds the address of the endpoint.'),
  absoluteTimeout: duration({ min: 1000, max: 365 * 86_400_000 })
    .optional()
    .describe("A session ends so long after it began. Absent: with the client's own."),
  cookieConfig: z
    .strictObject({
      lifetimeType: choice(['Session', 'Permanent'])
        .prefault('Session')
        .describe(
          'Permanent: the client keeps the cookie until absoluteTimeout; Session: no longer than it runs.',
        ),
      path: requestPath().optional().describe('Path of the cookie. Default: that of the request.'),
    })
    .optional()
    .describe('How the client keeps the cookie.'),
  strict: flag()
    .prefault(false)
    .describe(
      'A request whose endpoint is gone or unhealthy gets 503 (flag UH); else it goes to another one.',
    ),
});
