import * as z from 'zod'
import { timeOf } from '../actions.ts'
import { endCharge, startCharge } from '../billing.ts'
import { locations } from '../catalog/locations.ts'
import { extras } from '../catalog/pricing.ts'
import { ApiError, invalid, isProtected } from '../errors.ts'
import { list } from '../http/list.ts'
import { bodyOf, type Call, created, noContent, ok, type Route, recordOf } from '../http/route.ts'
import { labels } from '../labels.ts'
import type { Action, Volume } from '../model.ts'
import { formatMoney, money } from '../money.ts'
import { actionView, volumeView } from '../views.ts'
import { checkName, checkQuota, isCalled, name, reference, referred, rewrite } from './common.ts'

const size = z.int().min(10).max(10_240)
const createBody = z.object({
  name,
  size,
  labels: labels.default({}),
  location: reference.nullish(),
  server: z.int().nullish(),
  format: z.enum(['ext4', 'xfs']).nullish(),
  automount: z.boolean().optional(),
})
const changeBody = z.object({ name: name.optional(), labels: labels.optional() })
const what = 'volume'

/** Volumes are kept in the books only: no machine sees a disk of theirs. */
export const volumeRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/volumes',
    handle: (call) =>
      list(call, {
        field: 'volumes',
        records: call.project.volumes.values(),
        view: volumeView,
        filters: { name: (volume) => volume.name, status: ({ status }) => status },
        sorts: { name: (volume) => volume.name, created: (volume) => volume.created },
      }),
  },
  {
    method: 'POST',
    path: '/volumes',
    handle: (call) => {
      const { project, world } = call
      const body = bodyOf(call, createBody)
      checkName(project.volumes, body.name, what)
      const server = body.server ? referred(project.servers, body.server, 'server') : undefined
      const location = server?.location ?? locations.find((each) => isCalled(each, body.location ?? ''))?.name
      if (location === undefined) throw invalid('location', 'location not found')
      checkQuota(call, what, project.volumes.size)
      const volume: Volume = {
        ...{ id: world.nextId(), name: body.name, labels: body.labels, created: timeOf(world.now()) },
        ...{ size: body.size, location, server: null, format: body.format ?? null },
        ...{ status: 'creating', protection: { delete: false } },
      }
      project.volumes.set(volume.id, volume)
      charge(call, volume)
      const action = begin(call, 'create_volume', volume, () => {
        volume.status = 'available'
      })
      const next = server ? [attach(call, volume, server.id, action)] : []
      const views = { action: actionView(world, action), next_actions: next.map((each) => actionView(world, each)) }
      return created({ volume: volumeView(volume), ...views })
    },
  },
  {
    method: 'GET',
    path: '/volumes/:id',
    handle: (call) => ok({ volume: volumeView(recordOf(call, call.project.volumes, what)) }),
  },
  {
    method: 'PUT',
    path: '/volumes/:id',
    handle: (call) => {
      const volume = recordOf(call, call.project.volumes, what)
      const change = bodyOf(call, changeBody)
      if (change.name !== undefined) checkName(call.project.volumes, change.name, what, volume)
      rewrite(volume, change)
      call.world.changed()
      return ok({ volume: volumeView(volume) })
    },
  },
  {
    method: 'DELETE',
    path: '/volumes/:id',
    handle: (call) => {
      const volume = recordOf(call, call.project.volumes, what)
      if (volume.protection.delete) throw isProtected(what)
      if (volume.server !== null) throw new ApiError(423, 'locked', 'volume is attached to a server')
      call.project.volumes.delete(volume.id)
      endCharge(call.project, call.world.now(), 'volume', volume.id)
      call.world.changed()
      return noContent
    },
  },
  {
    method: 'POST',
    path: '/volumes/:id/actions/attach',
    handle: (call) => {
      const volume = recordOf(call, call.project.volumes, what)
      const body = bodyOf(call, z.object({ server: z.int(), automount: z.boolean().optional() }))
      const server = referred(call.project.servers, body.server, 'server')
      checkAttachable(volume, server.location)
      return answer(call, attach(call, volume, server.id))
    },
  },
  {
    method: 'POST',
    path: '/volumes/:id/actions/detach',
    handle: (call) => {
      const volume = recordOf(call, call.project.volumes, what)
      if (volume.server === null) throw new ApiError(422, 'volume_not_attached', 'volume is not attached')
      const action = begin(call, 'detach_volume', volume)
      volume.server = null
      return answer(call, action)
    },
  },
  {
    method: 'POST',
    path: '/volumes/:id/actions/resize',
    handle: (call) => {
      const volume = recordOf(call, call.project.volumes, what)
      const body = bodyOf(call, z.object({ size }))
      if (body.size <= volume.size) throw invalid('size', 'must be larger than it is')
      volume.size = body.size
      endCharge(call.project, call.world.now(), 'volume', volume.id)
      charge(call, volume)
      return answer(call, begin(call, 'resize_volume', volume))
    },
  },
  {
    method: 'POST',
    path: '/volumes/:id/actions/change_protection',
    handle: (call) => {
      const volume = recordOf(call, call.project.volumes, what)
      volume.protection = bodyOf(call, z.object({ delete: z.boolean() }))
      return answer(call, begin(call, 'change_protection', volume))
    },
  },
]

export function checkAttachable(volume: Volume, location: string): void {
  if (volume.server !== null) throw new ApiError(422, 'volume_already_attached', 'volume is already attached')
  if (volume.location !== location) throw invalid('volume', 'volume is at another location than the server')
}

export function attach(call: Call, volume: Volume, server: number, after?: Action): Action {
  volume.server = server
  return begin(call, 'attach_volume', volume, undefined, after)
}

function begin({ world, project }: Call, command: string, volume: Volume, done?: () => void, after?: Action): Action {
  const server = volume.server === null ? [] : [{ id: volume.server, type: 'server' }]
  const resources = [{ id: volume.id, type: 'volume' }, ...server]
  return world.actions.begin({ project, command, resources, ...(done && { done }), ...(after && { after }) })
}

const answer = (call: Call, action: Action) => created({ action: actionView(call.world, action) })

function charge({ project, world }: Call, { id, size: gigabytes }: Volume): void {
  const monthly = formatMoney(money(extras.volumePerGbMonth) * BigInt(gigabytes))
  startCharge(project, world.now(), { kind: 'volume', id, what: `${gigabytes} GB`, hourly: null, monthly })
}
