/** `/metrics`: for Prometheus. */
import type { Endpoint } from '../answer.ts';

export const metrics: Endpoint = {
  path: '/metrics',
  methods: ['GET'],
  summary: 'Prometheus metrics',
  handle: async (_request, api) => ({ status: 200, ...(await api.metrics()) }),
};
