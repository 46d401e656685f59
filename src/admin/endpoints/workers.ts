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
  summary: 'start a successor, then drain and end worker :index; ?drain=false ends it at once',
  handle: async ({ params, query }, api) => {
    const index = workerIndex(params[0] as string, api.workers().length);
    const drain = query.get('drain') ?? 'true';
    if (drain === 'false') {
      api.killWorker(index);
      return json(api.workers()[index], 202);
    }
    if (drain !== 'true') {
      throw new AdminError(
        400,
        'bad-drain',
        `drain=${drain} is neither true nor false`,
        'give drain=false, or leave it out',
      );
    }
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
