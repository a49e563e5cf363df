import { locations } from '../catalog/locations.ts'
import { pricing } from '../catalog/pricing.ts'
import { serverTypes } from '../catalog/server-types.ts'
import { ApiError, notFound } from '../errors.ts'
import { list } from '../http/list.ts'
import { ok, type Route } from '../http/route.ts'
import { serverTypeView } from '../views.ts'

/** What is the same for all projects, and the kinds of resources that nobody has here. */
export const catalogRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/locations',
    handle: (call) =>
      list(call, {
        field: 'locations',
        records: locations,
        view: (location) => location,
        filters: { name: ({ name }) => name },
        sorts: { name: ({ name }) => name },
      }),
  },
  {
    method: 'GET',
    path: '/locations/:id',
    handle: ({ params: { id = '' } }) => ok({ location: find(locations, id, 'location') }),
  },
  {
    method: 'GET',
    path: '/server_types',
    handle: (call) =>
      list(call, {
        field: 'server_types',
        records: serverTypes,
        view: (type) => serverTypeView(call.world, type),
        filters: { name: ({ name }) => name },
        sorts: { name: ({ name }) => name },
      }),
  },
  {
    method: 'GET',
    path: '/server_types/:id',
    handle: ({ world, params: { id = '' } }) =>
      ok({ server_type: serverTypeView(world, find(serverTypes, id, 'server type')) }),
  },
  { method: 'GET', path: '/pricing', handle: () => ok({ pricing: pricing() }) },
  {
    method: 'GET',
    path: '/datacenters',
    handle: () => {
      throw new ApiError(410, 'deprecated_api_endpoint', 'this endpoint was removed, use locations', {
        announcement: 'https://docs.hetzner.cloud/changelog',
      })
    },
  },
  ...['isos', 'floating_ips', 'load_balancers', 'load_balancer_types', 'certificates'].flatMap(nobodyHas),
]

function nobodyHas(field: string): Route[] {
  const what = field.replace(/s$/, '').replaceAll('_', ' ')
  return [
    {
      method: 'GET',
      path: `/${field}`,
      handle: (call) => list<never>(call, { field, records: [], view: (record) => record }),
    },
    {
      method: 'GET',
      path: `/${field}/:id`,
      handle: ({ params: { id = '' } }) => {
        throw notFound(what, id)
      },
    },
  ]
}

function find<T extends { id: number }>(records: readonly T[], id: string, what: string): T {
  const record = records.find((each) => String(each.id) === id)
  if (!record) throw notFound(what, id)
  return record
}
