import * as z from 'zod'
import { timeOf } from '../actions.ts'
import { endCharge, startCharge } from '../billing.ts'
import { extras } from '../catalog/pricing.ts'
import { systemImages } from '../catalog/system-images.ts'
import { ApiError, isProtected, notFound } from '../errors.ts'
import { list } from '../http/list.ts'
import { bodyOf, type Call, created, noContent, ok, type Route } from '../http/route.ts'
import { labels } from '../labels.ts'
import type { Action, Image, Server } from '../model.ts'
import { formatMoney, money } from '../money.ts'
import { actionView, findImage, findServerType } from '../views.ts'
import { checkQuota } from './common.ts'

const changeBody = z.object({
  description: z.string().optional(),
  labels: labels.optional(),
  type: z.literal('snapshot').optional(),
})

export const imageRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/images',
    handle: (call) => {
      const all = [...systemImages, ...call.project.images.values()]
      const withDeprecated = call.query.get('include_deprecated') === 'true'
      return list(call, {
        field: 'images',
        records: all.filter(({ deprecated }) => withDeprecated || deprecated === null),
        view: (image) => image,
        filters: {
          name: ({ name }) => name,
          type: ({ type }) => type,
          status: ({ status }) => status,
          architecture: ({ architecture }) => architecture,
          bound_to: ({ bound_to }) => bound_to,
        },
        sorts: { name: ({ name }) => name ?? '', created: (image) => image.created },
      })
    },
  },
  { method: 'GET', path: '/images/:id', handle: (call) => ok({ image: imageOf(call) }) },
  {
    method: 'PUT',
    path: '/images/:id',
    handle: (call) => {
      const image = ownImageOf(call)
      const change = bodyOf(call, changeBody)
      image.description = change.description ?? image.description
      image.labels = change.labels ?? image.labels
      if (change.type) Object.assign(image, { type: change.type, bound_to: null })
      call.world.changed()
      return ok({ image })
    },
  },
  {
    method: 'DELETE',
    path: '/images/:id',
    handle: (call) => {
      const image = ownImageOf(call)
      if (image.protection.delete) throw isProtected('image')
      if (image.status === 'creating') throw new ApiError(423, 'locked', 'image is being created')
      dropImage(call, image)
      return noContent
    },
  },
  {
    method: 'POST',
    path: '/images/:id/actions/change_protection',
    handle: (call) => {
      const { world, project } = call
      const image = ownImageOf(call)
      image.protection = bodyOf(call, z.object({ delete: z.boolean() }))
      const resources = [{ id: image.id, type: 'image' }]
      const action = world.actions.begin({ project, command: 'change_protection', resources })
      return created({ action: actionView(world, action) })
    },
  },
]

function imageOf(call: Call): Image {
  const id = call.params['id'] ?? ''
  const image = findImage(call.project, Number(id))
  if (!image) throw notFound('image', id)
  return image
}

function ownImageOf(call: Call): Image {
  const image = imageOf(call)
  if (!call.project.images.has(image.id)) throw new ApiError(403, 'forbidden', 'images of the system cannot be changed')
  return image
}

function dropImage({ world, project }: Call, { id }: Image): void {
  project.images.delete(id)
  endCharge(project, world.now(), 'image', id)
  world.changed()
  void world.machines.removeImage(id)
}

export interface NewImage {
  readonly type: 'snapshot' | 'backup'
  readonly description: string
  readonly labels: Record<string, string>
}

/** Begins to keep the disk of a server. An image that fails is gone again. */
export function makeImage(call: Call, server: Server, wanted: NewImage): { image: Image; action: Action } {
  const { world, project } = call
  checkQuota(call, 'image', project.images.size)
  const from = findImage(project, server.image)
  const image: Image = {
    ...{ id: world.nextId(), ...wanted, name: null, status: 'creating', created: timeOf(world.now()) },
    ...{ image_size: null, disk_size: server.primary_disk_size, rapid_deploy: false, protection: { delete: false } },
    ...{ created_from: { id: server.id, name: server.name }, deprecated: null, deleted: null },
    bound_to: wanted.type === 'backup' ? server.id : null,
    ...{ os_flavor: from?.os_flavor ?? 'unknown', os_version: from?.os_version ?? null },
    architecture: findServerType(server.server_type)?.architecture ?? 'x86',
  }
  project.images.set(image.id, image)
  let gigabytes = 0
  const action = world.actions.begin({
    ...{ project, command: 'create_image', locks: server.id },
    resources: [
      { id: image.id, type: 'image' },
      { id: server.id, type: 'server' },
    ],
    work: async () => {
      gigabytes = await world.machines.image(server.id, image.id)
    },
    done: () => {
      Object.assign(image, { status: 'available', image_size: gigabytes })
      // Whole hundredths of a gigabyte, since amounts are whole numbers.
      const monthly = formatMoney((money(extras.imagePerGbMonth) * BigInt(Math.ceil(gigabytes * 100))) / 100n)
      const charge = { kind: 'image', id: image.id, what: `${gigabytes} GB`, hourly: null, monthly } as const
      startCharge(project, world.now(), charge)
    },
    failed: () => project.images.delete(image.id),
  })
  return { image, action }
}
