import * as z from 'zod'
import { timeOf } from '../actions.ts'
import { ApiError } from '../errors.ts'
import { list } from '../http/list.ts'
import { bodyOf, created, noContent, ok, type Route, recordOf } from '../http/route.ts'
import { labels } from '../labels.ts'
import { placementGroupView } from '../views.ts'
import { checkName, checkQuota, name, rewrite } from './common.ts'

const createBody = z.object({ name, type: z.literal('spread'), labels: labels.default({}) })
const changeBody = z.object({ name: name.optional(), labels: labels.optional() })
const what = 'placement group'

export const placementGroupRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/placement_groups',
    handle: (call) =>
      list(call, {
        field: 'placement_groups',
        records: call.project.placement_groups.values(),
        view: (group) => placementGroupView(call.project, group),
        filters: { name: (group) => group.name, type: ({ type }) => type },
        sorts: { name: (group) => group.name, created: (group) => group.created },
      }),
  },
  {
    method: 'POST',
    path: '/placement_groups',
    handle: (call) => {
      const { project, world } = call
      const body = bodyOf(call, createBody)
      checkName(project.placement_groups, body.name, what)
      checkQuota(call, 'placement_group', project.placement_groups.size)
      const group = { id: world.nextId(), ...body, created: timeOf(world.now()) }
      project.placement_groups.set(group.id, group)
      world.changed()
      return created({ placement_group: placementGroupView(project, group), action: null })
    },
  },
  {
    method: 'GET',
    path: '/placement_groups/:id',
    handle: (call) =>
      ok({
        placement_group: placementGroupView(call.project, recordOf(call, call.project.placement_groups, what)),
      }),
  },
  {
    method: 'PUT',
    path: '/placement_groups/:id',
    handle: (call) => {
      const group = recordOf(call, call.project.placement_groups, what)
      const change = bodyOf(call, changeBody)
      if (change.name !== undefined) checkName(call.project.placement_groups, change.name, what, group)
      rewrite(group, change)
      call.world.changed()
      return ok({ placement_group: placementGroupView(call.project, group) })
    },
  },
  {
    method: 'DELETE',
    path: '/placement_groups/:id',
    handle: (call) => {
      const group = recordOf(call, call.project.placement_groups, what)
      const { placement_groups, servers } = call.project
      if ([...servers.values()].some((server) => server.placement_group === group.id)) {
        throw new ApiError(422, 'resource_in_use', 'placement group still has servers')
      }
      placement_groups.delete(group.id)
      call.world.changed()
      return noContent
    },
  },
]
