/** `/ready`: 200 only when every worker listens on every listener and the process is not draining. */
import { type Endpoint, formatOf, json, text } from '../answer.ts';

export const ready: Endpoint = {
  path: '/ready',
  methods: ['GET'],
  summary: '200 when every worker listens, else 503 and why; ?format=json',
  anyHost: true,
  handle: ({ query }, api) => {
    const readiness = api.readiness();
    const status = readiness.ready ? 200 : 503;
    if (formatOf(query, ['text', 'json']) === 'json') return json(readiness, status);
    return text([readiness.state, ...readiness.reasons].join('\n'), status);
  },
};
