/** `/`: what there is, one line each. */
import { type Endpoint, text } from '../answer.ts';

export function home(listed: readonly Endpoint[]): Endpoint {
  const lines = listed.map(
    ({ path, methods, summary }) => `${methods.join('|').padEnd(8)} ${path.padEnd(26)} ${summary}`,
  );
  return {
    path: '/',
    methods: ['GET'],
    summary: 'this list',
    handle: () => text(['Outboard admin', '', ...lines].join('\n')),
  };
}
