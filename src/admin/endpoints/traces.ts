/** `/traces`: the last traces kept in memory, newest first. */
import { AdminError, type Endpoint, formatOf, integerOf, json, text } from '../answer.ts';

const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 1_000;

export const traces: Endpoint = {
  path: '/traces',
  methods: ['GET'],
  summary: 'last traces; ?format=text as trees, ?id=TRACE, ?limit=20',
  handle: ({ query }, api) => {
    const format = formatOf(query, ['json', 'text']);
    const limit = integerOf(query, 'limit', LIMIT_DEFAULT, 1, LIMIT_MAX);
    const traceId = query.get('id');
    const view = api.traces({ traceId: traceId === null ? null : traceId.toLowerCase(), limit });
    if (traceId !== null && view.traces.length === 0) {
      throw new AdminError(
        404,
        'no-such-trace',
        `no trace ${traceId} is kept`,
        'it was not sampled, or newer ones took its place; look in the tracing backend',
      );
    }
    return format === 'json' ? json(view.traces) : text(view.text());
  },
};
