/** `/workers`: the data-plane threads; and the planned restart of one, successor first. */
import { AdminError, type Endpoint, json } from '../answer.ts';

export const workers: Endpoint = {
  path: '/workers',
  methods: ['GET'],
  summary: 'state, snapshot version, heartbeat and crashes of every worker',
  handle: (_request, api) => json(api.workers()),
};

export const restartWorker: Endpoint = {
  path: '/workers/:index/restart',
  methods: ['POST'],
  summary: 'start a successor, then drain and end worker :index',
  handle: async ({ params }, api) => {
    const count = api.workers().length;
    const index = workerIndex(params[0] as string, count);
    await api.restartWorker(index);
    return json(api.workers()[index]);
  },
};

/** Throws a 404 when `text` is no index below `count`. */
export function workerIndex(text: string, count: number): number {
  const index = /^[0-9]{1,3}$/.test(text) ? Number(text) : count;
  if (index < count) return index;
  throw new AdminError(
    404,
    'no-such-worker',
    `there is no worker ${text}`,
    `give a number from 0 to ${count - 1}`,
  );
}
