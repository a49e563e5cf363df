import { Choice, Needs } from '@gibil/contract'
import { json, type Route, route } from '../http/route.ts'

export const chooseRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/choose',
    id: 'choose',
    tag: 'boxes',
    summary: 'Choose a box by what it is needed for',
    description: 'Makes nothing. `create` of the answer is the body for POST /boxes.',
    body: Needs,
    answer: json(Choice),
    errors: ['contradictory_needs', 'invalid_duration', 'invalid_size', 'over_price_cap'],
    handle: async ({ body }, { plane }) => plane.choose(body),
  }),
]
