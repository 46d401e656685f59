/** `/callers`: what each caller holds of the node, and what was refused it. */
import { type Endpoint, integerOf, json } from '../answer.ts';

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 4_096;

export const callers: Endpoint = {
  path: '/callers',
  methods: ['GET'],
  summary: 'what callers hold, those with most connections first; ?address=10.1.2.3, ?limit=50',
  handle: ({ query }, api) => {
    const address = query.get('address');
    const limit = integerOf(query, 'limit', LIMIT_DEFAULT, 1, LIMIT_MAX);
    const found = api.callers().filter((caller) => address === null || caller.address === address);
    return json(found.slice(0, limit));
  },
};
