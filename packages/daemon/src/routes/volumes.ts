import { CreateVolume, Volume } from '@gibil/contract'
import * as z from 'zod'
import { json, type Route, route } from '../http/route.ts'

const tag = 'volumes'

export const volumeRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/volumes',
    id: 'createVolume',
    tag,
    summary: 'Make a volume',
    description:
      'A directory that outlives boxes, and that several containers have at once. Its size counts as disk of its owner.',
    body: CreateVolume,
    answer: json(Volume, 201),
    errors: ['name_in_use', 'limit_reached', 'disk_full'],
    handle: async ({ body }, { plane }) => plane.volumes.create(body),
  }),
  route({
    method: 'get',
    path: '/volumes',
    id: 'listVolumes',
    tag,
    summary: 'List volumes, oldest first',
    answer: json(z.array(Volume)),
    handle: async (_, { plane }) => plane.volumes.list(),
  }),
  route({
    method: 'get',
    path: '/volumes/{volume}',
    id: 'getVolume',
    tag,
    summary: 'Show a volume',
    answer: json(Volume),
    errors: ['volume_not_found'],
    handle: async ({ param }, { plane }) => plane.volumes.get(param('volume')),
  }),
  route({
    method: 'delete',
    path: '/volumes/{volume}',
    id: 'removeVolume',
    tag,
    summary: 'Remove a volume with all that is in it',
    description: 'Refused while a box has it, whatever its status.',
    answer: json(Volume),
    errors: ['volume_not_found', 'wrong_state'],
    handle: async ({ param }, { plane }) => plane.volumes.remove(param('volume')),
  }),
]
