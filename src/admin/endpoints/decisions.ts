/** `/decisions`: why requests failed, were retried or were refused. */
import { type Endpoint, integerOf, json } from '../answer.ts';

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 5_000;

export const decisions: Endpoint = {
  path: '/decisions',
  methods: ['GET'],
  summary: 'decision records, newest first; ?request=X-REQUEST-ID, ?limit=50',
  handle: ({ query }, api) =>
    json(
      api.decisions({
        requestId: query.get('request'),
        limit: integerOf(query, 'limit', LIMIT_DEFAULT, 1, LIMIT_MAX),
      }),
    ),
};
