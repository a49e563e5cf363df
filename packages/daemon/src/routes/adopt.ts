import { AdoptableBox, AdoptBox, Box, Provider } from '@gibil/contract'
import * as z from 'zod'
import { json, type Route, route } from '../http/route.ts'

const tag = 'boxes'

/** For the administrator alone: whose a box of another home is cannot be told here. */
export const adoptRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/adoptable',
    id: 'listAdoptable',
    tag,
    summary: 'List boxes at a provider that other homes made',
    query: z.strictObject({ provider: Provider.optional().describe('default hetzner') }),
    answer: json(z.array(AdoptableBox)),
    errors: ['cloud_unauthorized', 'cloud_unreachable', 'unsupported_by_shape'],
    handle: async ({ query }, { control }) => control.adoptable(query.provider),
  }),
  route({
    method: 'post',
    path: '/adoptable/{box}/adopt',
    id: 'adoptBox',
    tag,
    summary: 'Take a box over that another home made',
    description:
      'It keeps its lease, and this daemon keeps it from then on. A daemon of the other home that runs still gives it up within a minute. What it had there beside its machine ' +
      '(environment, published ports, idle limit) is not known here.',
    body: AdoptBox,
    progress: true,
    answer: json(Box, 201),
    errors: ['box_not_found', 'name_in_use', 'invalid_name', 'lease_out_of_range', 'cloud_unauthorized'],
    handle: async ({ param, body }, { control }) => control.adopt(param('box'), body),
  }),
]
