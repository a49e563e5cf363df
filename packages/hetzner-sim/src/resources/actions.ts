import { invalid, notFound } from '../errors.ts'
import { list } from '../http/list.ts'
import { type Answer, type Call, ok, type Route, recordOf } from '../http/route.ts'
import type { Action, Project } from '../model.ts'
import { actionView } from '../views.ts'

/** Plural and singular of the resources that have actions. */
const withActions = {
  servers: 'server',
  images: 'image',
  firewalls: 'firewall',
  networks: 'network',
  volumes: 'volume',
  primary_ips: 'primary_ip',
} as const satisfies Partial<Record<keyof Project, string>>

const listing = (call: Call, records: Iterable<Action>): Answer =>
  list(call, {
    field: 'actions',
    records,
    view: (action) => actionView(call.world, action),
    filters: { id: ({ id }) => id, status: ({ status }) => status },
    sorts: {
      command: ({ command }) => command,
      status: ({ status }) => status,
      started: ({ started }) => started,
      finished: ({ finished }) => finished ?? '',
      progress: (action) => call.world.actions.progress(action),
    },
  })

function one(call: Call, id: string | undefined, isOf: (action: Action) => boolean): Answer {
  const action = call.project.actions.get(Number(id))
  if (!action || !isOf(action)) throw notFound('action', id ?? '')
  return ok({ action: actionView(call.world, action) })
}

export const actionRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/actions',
    handle: (call) => {
      if (!call.query.has('id')) throw invalid('id', 'is required: listing all actions was removed')
      return listing(call, call.project.actions.values())
    },
  },
  { method: 'GET', path: '/actions/:id', handle: (call) => one(call, call.params['id'], () => true) },
  ...Object.entries(withActions).flatMap(([plural, type]) => actionsOf(plural as keyof typeof withActions, type)),
]

function actionsOf(plural: keyof typeof withActions, type: string): Route[] {
  const about =
    (id?: number) =>
    ({ resources }: Action): boolean =>
      resources.some((resource) => resource.type === type && (id === undefined || resource.id === id))
  return [
    {
      method: 'GET',
      path: `/${plural}/actions`,
      handle: (call) => listing(call, [...call.project.actions.values()].filter(about())),
    },
    {
      method: 'GET',
      path: `/${plural}/actions/:id`,
      handle: (call) => one(call, call.params['id'], about()),
    },
    {
      method: 'GET',
      path: `/${plural}/:id/actions`,
      handle: (call) => {
        const { id } = recordOf<{ id: number }>(call, call.project[plural], type.replace('_', ' '))
        return listing(call, [...call.project.actions.values()].filter(about(id)))
      },
    },
    {
      method: 'GET',
      path: `/${plural}/:id/actions/:action`,
      handle: (call) => one(call, call.params['action'], about(Number(call.params['id']))),
    },
  ]
}
