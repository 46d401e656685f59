/** `/overload`: what the overload manager measures, and what each worker does about it. */
import { type Endpoint, json } from '../answer.ts';

export const overload: Endpoint = {
  path: '/overload',
  methods: ['GET'],
  summary: 'pressure of every resource, and overload actions of every worker',
  handle: (_request, api) => json(api.overload()),
};
