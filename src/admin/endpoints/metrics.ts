/** `/metrics`: for Prometheus, in the text format; every value is read when it is asked for. */
import type { Endpoint } from '../answer.ts';

export const metrics: Endpoint = {
  path: '/metrics',
  methods: ['GET'],
  summary: 'Prometheus metrics',
  handle: async (_request, api) => ({ status: 200, ...(await api.metrics()) }),
};
