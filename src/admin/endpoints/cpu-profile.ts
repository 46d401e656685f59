/** `/cpu-profile`: V8's sampling profiler for some seconds; the file opens in Chrome's and VS Code's profilers. */
import { AdminError, type Endpoint, integerOf } from '../answer.ts';
import { workerIndex } from './workers.ts';

const SECONDS_DEFAULT = 5;
/** Longer profiles grow to hundreds of megabytes. */
const SECONDS_MAX = 60;

export const cpuProfile: Endpoint = {
  path: '/cpu-profile',
  methods: ['POST'],
  summary: 'a .cpuprofile of ?worker=N or ?worker=supervisor for ?seconds=5',
  handle: async ({ query }, api) => {
    const seconds = integerOf(query, 'seconds', SECONDS_DEFAULT, 1, SECONDS_MAX);
    const worker = query.get('worker');
    if (worker === null) {
      throw new AdminError(400, 'no-worker', 'worker is missing', 'give ?worker=0, or ?worker=supervisor');
    }
    const target = worker === 'supervisor' ? worker : workerIndex(worker, api.workers().length);
    return {
      status: 200,
      contentType: 'application/json',
      headers: { 'content-disposition': `attachment; filename="worker-${target}.cpuprofile"` },
      body: await api.cpuProfile(target, seconds * 1_000),
    };
  },
};
