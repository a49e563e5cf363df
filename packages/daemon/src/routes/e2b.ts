import { E2bDoor, GibilError, SetUpE2b } from '@gibil/contract'
import { json, type Route, route } from '../http/route.ts'

const tag = 'daemon'

export const e2bRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/e2b',
    id: 'setUpE2b',
    tag,
    summary: 'Open the door that speaks E2B',
    description:
      'Or open it in another way. It opens by itself when the daemon starts again. What is open to it is cut.',
    body: SetUpE2b,
    answer: json(E2bDoor),
    errors: ['host_unfit', 'missing_tool'],
    handle: async ({ body }, { daemon }) => daemon.e2b.setUp(body),
  }),
  route({
    method: 'get',
    path: '/e2b',
    id: 'getE2b',
    tag,
    summary: 'Where the door is that speaks E2B',
    answer: json(E2bDoor),
    errors: ['wrong_state'],
    handle: async (_, { daemon }) => {
      const door = daemon.e2b.state()
      if (door) return door
      throw new GibilError('wrong_state', 'The E2B door is not open.', { hint: 'Open it: gibil e2b setup.' })
    },
  }),
]
