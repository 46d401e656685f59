/** `/live`: the process answers. Nothing else is asked, or a busy proxy would be killed for being busy. */
import { type Endpoint, text } from '../answer.ts';

export const live: Endpoint = {
  path: '/live',
  methods: ['GET'],
  summary: '200 while the process answers',
  anyHost: true,
  handle: () => text('live'),
};
