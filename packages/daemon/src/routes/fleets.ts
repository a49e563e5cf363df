import { Box, CreateFleet, Fleet, GibilError } from '@gibil/contract'
import * as z from 'zod'
import { json, type Route, route } from '../http/route.ts'

const tag = 'boxes'

export const fleetRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/fleets',
    id: 'createFleet',
    tag,
    summary: 'Create several equal boxes',
    description:
      'Boxes that could not be made are in `failures`; the others are kept, or with `onPartial: destroy` removed.',
    body: CreateFleet,
    progress: true,
    answer: json(Fleet, 201),
    errors: ['invalid_name', 'invalid_duration', 'name_in_use', 'image_not_found', 'needs_root', 'limit_reached'],
    handle: async ({ body, onProgress, signal }, { plane, metrics }) => {
      const fleet = await plane.createFleet(body, { onProgress, signal })
      for (const box of fleet.boxes) metrics.created(box)
      return fleet
    },
  }),
  route({
    method: 'get',
    path: '/fleets/{fleet}',
    id: 'getFleet',
    tag,
    summary: 'Show the boxes of a fleet',
    answer: json(Fleet),
    errors: ['fleet_not_found'],
    handle: async ({ param }, { plane }) => {
      const id = param('fleet')
      const boxes = await plane.list({ fleet: id })
      if (boxes.length === 0) throw new GibilError('fleet_not_found', `No box belongs to a fleet "${id}".`)
      const failures = boxes.flatMap(({ name, failure }) => (failure ? [{ name, failure }] : []))
      return { id, boxes, failures }
    },
  }),
  route({
    method: 'delete',
    path: '/fleets/{fleet}',
    id: 'destroyFleet',
    tag,
    summary: 'Destroy all boxes of a fleet',
    description: 'Answers when nothing of them is left.',
    progress: true,
    answer: json(z.array(Box)),
    errors: ['fleet_not_found'],
    handle: async ({ param }, { plane }) => plane.destroyFleet(param('fleet')),
  }),
]
