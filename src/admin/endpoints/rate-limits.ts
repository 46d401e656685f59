/** `/rate-limits`: what is left of each limit. */
import { type Endpoint, json } from '../answer.ts';

export const rateLimits: Endpoint = {
  path: '/rate-limits',
  methods: ['GET'],
  summary: 'tokens left of every rate limit; ?limit=ID',
  handle: ({ query }, api) => {
    const wanted = query.get('limit');
    return json(api.rateLimits().filter(({ id }) => wanted === null || id === wanted));
  },
};
