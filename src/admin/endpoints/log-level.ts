/** `/log-level`: read or set, at run time, for the supervisor and every worker. */
import type { LogLevel } from '../../channel/index.ts';
import { AdminError, type Endpoint, json } from '../answer.ts';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export const logLevel: Endpoint = {
  path: '/log-level',
  methods: ['GET', 'POST'],
  summary: 'read it, or set it with ?level=debug|info|warn|error or {"level": ...}',
  handle: async (request, api) => {
    if (request.method === 'POST') {
      const wanted = request.query.get('level') ?? levelOf(await request.body());
      const level = LEVELS.find((name) => name === wanted);
      if (level === undefined) {
        throw new AdminError(
          400,
          'bad-level',
          `${JSON.stringify(wanted)} is no log level`,
          `use one of ${LEVELS.join(', ')}`,
        );
      }
      api.setLogLevel(level);
    }
    return json({ level: api.logLevel() });
  },
};

/** From `{"level": "debug"}` or the bare word. */
function levelOf(body: string): string {
  const trimmed = body.trim();
  if (!trimmed.startsWith('{')) return trimmed;
  let value: unknown;
  try {
    value = JSON.parse(trimmed);
  } catch {
    throw new AdminError(400, 'bad-json', 'the body is not JSON', 'send {"level": "debug"}');
  }
  const { level } = value as { level?: unknown };
  return typeof level === 'string' ? level : '';
}
