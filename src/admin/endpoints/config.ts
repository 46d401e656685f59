/** `/config`: the configuration in force with every default filled in, and how its source is doing. */
import { stringify } from 'yaml';
import { type Endpoint, formatOf, json } from '../answer.ts';

export const config: Endpoint = {
  path: '/config',
  methods: ['GET'],
  summary: 'configuration in force and the state of its source, as YAML; ?format=json',
  handle: ({ query }, api) => {
    const view = api.config();
    if (formatOf(query, ['yaml', 'json']) === 'json') return json(view);
    const body = stringify(view, { aliasDuplicateObjects: false, lineWidth: 0 });
    return { status: 200, contentType: 'application/yaml; charset=utf-8', body };
  },
};
