/** `/drain`: takes the node out of service; SIGTERM ends the process afterwards. */
import { type Endpoint, json } from '../answer.ts';

export const drain: Endpoint = {
  path: '/drain',
  methods: ['POST'],
  summary: 'stop accepting, let requests in flight end; the process stays',
  handle: (_request, api) => {
    api.drain();
    return json(api.readiness(), 202);
  },
};
