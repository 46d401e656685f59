/**
 * Filters of rules and backends, in Gateway API's shape: `type` names the one field beside it that is
 * filled in. DirectResponse is Envoy's; Gateway API has none.
 */
import { z } from 'zod';
import { LIMITS } from '../../base/index.ts';
import { corsSchema } from './cors.ts';
import { percent, requestPath } from './measures.ts';
import { anyText, choice, headerName, headerValue, hostname, objectName } from './names.ts';
import { integer, type Leaf, leaf, Refusal } from './scalar.ts';

const nameValue = z.strictObject({
  name: headerName('modify').describe('Sent as written.'),
  value: headerValue().describe('Sent as written.'),
});

const headerModifier = z.strictObject({
  set: z.array(nameValue).prefault([]).describe('Replaces every value of the header.'),
  add: z.array(nameValue).prefault([]).describe('Added beside the values there are.'),
  remove: z.array(headerName('modify')).prefault([]).describe('Taken out.'),
});

const pathModifier = z.strictObject({
  type: choice(['ReplaceFullPath', 'ReplacePrefixMatch']).describe('Which of the two fields counts.'),
  replaceFullPath: requestPath().optional().describe('The new path.'),
  replacePrefixMatch: requestPath()
    .optional()
    .describe('In place of the matched prefix; only where every match of the rule is a PathPrefix.'),
});

const urlRewrite = z.strictObject({
  hostname: hostname({ wildcard: false }).optional().describe('The new Host header.'),
  path: pathModifier.optional().describe('The new path. The query stays.'),
});

const requestRedirect = z.strictObject({
  scheme: choice(['http', 'https']).optional().describe('Default: that of the request.'),
  hostname: hostname({ wildcard: false }).optional().describe('Default: that of the request.'),
  port: integer({ min: 1, max: 65_535 })
    .optional()
    .describe('Default: the well-known port of `scheme` if given, else that of the listener.'),
  path: pathModifier.optional().describe('Default: that of the request.'),
  statusCode: redirectStatus().prefault(302).describe('301, 302, 303, 307 or 308.'),
});

const directResponse = z.strictObject({
  statusCode: integer({ min: 200, max: 599 }).describe('Status of the answer.'),
  body: anyText('text', LIMITS.directResponseBytes).prefault('').describe('Sent as UTF-8.'),
  contentType: headerValue().prefault('text/plain; charset=utf-8').describe('Content-Type of the answer.'),
});

const requestMirror = z.strictObject({
  backendRef: z.strictObject({ name: objectName().describe('A service.') }).describe('Where copies go.'),
  percent: percent().prefault(100).describe('Of the requests.'),
});

/** Each type with the field that belongs to it. */
export const FILTER_FIELDS = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  URLRewrite: 'urlRewrite',
  RequestRedirect: 'requestRedirect',
  RequestMirror: 'requestMirror',
  CORS: 'cors',
  DirectResponse: 'directResponse',
} as const;

const TYPES = [
  'RequestHeaderModifier',
  'ResponseHeaderModifier',
  'URLRewrite',
  'RequestRedirect',
  'RequestMirror',
  'CORS',
  'DirectResponse',
] as const;

const filter = z.strictObject({
  type: choice(TYPES, {
    ExtensionRef: 'extensions are not supported',
    ExternalAuth: 'external authorisation is not supported yet',
  }).describe('Which of the other fields is filled in.'),
  requestHeaderModifier: headerModifier.optional().describe('Changes request headers.'),
  responseHeaderModifier: headerModifier.optional().describe('Changes answer headers.'),
  urlRewrite: urlRewrite.optional().describe('Changes host or path before the request is sent on.'),
  requestRedirect: requestRedirect.optional().describe('Answers with a redirect.'),
  requestMirror: requestMirror
    .optional()
    .describe('Sends a copy to another service. Nobody waits for it. May be there several times.'),
  cors: corsSchema.optional().describe('Says which pages may read answers, and answers their preflights.'),
  directResponse: directResponse.optional().describe('Answers without asking a backend.'),
});

export type FilterFields = z.infer<typeof filter>;
export type PathModifierFields = z.infer<typeof pathModifier>;

export function filtersSchema() {
  return z.array(filter).prefault([]);
}

/** Gateway API's redirect codes. */
function redirectStatus(): Leaf<301 | 302 | 303 | 307 | 308, number> {
  const expected = 'one of 301, 302, 303, 307, 308';
  return leaf({
    expected,
    json: { enum: [301, 302, 303, 307, 308] },
    read: (value) =>
      value === 301 || value === 302 || value === 303 || value === 307 || value === 308
        ? value
        : new Refusal(null),
  });
}
