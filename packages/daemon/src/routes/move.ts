import { MoveBox, Moved } from '@gibil/contract'
import { json, type Route, route } from '../http/route.ts'

const tag = 'boxes'

export const moveRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/boxes/{box}/move',
    id: 'moveBox',
    tag,
    summary: 'Make a box one of another shape, provider or size',
    description:
      'Its files, name, id, environment, labels, lease and published ports go along; processes do not. The old one is kept until the new one answers: when the ' +
      'move fails, the box is what it was. Calls for it wait meanwhile. Leaving early ends the waiting, not the move.',
    body: MoveBox,
    progress: true,
    answer: json(Moved),
    errors: [
      'box_not_found',
      'wrong_state',
      'unsupported_by_shape',
      'invalid_size',
      'size_beyond_host',
      'lease_out_of_range',
      'cloud_sold_out',
      'over_budget',
      'disk_full',
    ],
    handle: async ({ param, body, onProgress, signal }, { plane }) =>
      plane.move(param('box'), body, { onProgress, signal }),
  }),
]
