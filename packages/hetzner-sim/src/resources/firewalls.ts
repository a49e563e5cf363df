import { isIP } from 'node:net'
import * as z from 'zod'
import { timeOf } from '../actions.ts'
import { ApiError } from '../errors.ts'
import { list } from '../http/list.ts'
import { bodyOf, type Call, created, noContent, ok, type Route, recordOf } from '../http/route.ts'
import { admitAll } from '../inbound.ts'
import { labels, parseSelector } from '../labels.ts'
import type { Action, Firewall, FirewallTarget } from '../model.ts'
import { actionView, firewallView } from '../views.ts'
import { checkName, checkQuota, name, referred, rewrite } from './common.ts'

const cidr = z.string().refine((text) => {
  const [address = '', bits = ''] = text.split('/')
  const version = isIP(address)
  return version !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)
}, 'is no network such as 10.0.0.0/8')
const cidrs = z.array(cidr).max(100).default([])
const isPort = (text: string): boolean => /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535
const port = z.string().refine((text) => {
  const [from = '', to = from, ...more] = text === 'any' ? ['1'] : text.split('-')
  return more.length === 0 && isPort(from) && isPort(to) && Number(from) <= Number(to)
}, 'is neither a port, nor a range such as 80-85, nor any')

const rule = z
  .object({
    direction: z.enum(['in', 'out']),
    protocol: z.enum(['tcp', 'udp', 'icmp', 'esp', 'gre']),
    port: port.nullish().transform((value) => value ?? null),
    source_ips: cidrs,
    destination_ips: cidrs,
    description: z
      .string()
      .max(255)
      .nullish()
      .transform((value) => value ?? null),
  })
  .refine(({ protocol, port }) => (port !== null) === (protocol === 'tcp' || protocol === 'udp'), {
    path: ['port'],
    message: 'is required for tcp and udp, and for them only',
  })
  .refine(({ direction, source_ips }) => direction === 'out' || source_ips.length > 0, {
    path: ['source_ips'],
    message: 'is required for rules of direction in',
  })
  .refine(({ direction, destination_ips }) => direction === 'in' || destination_ips.length > 0, {
    path: ['destination_ips'],
    message: 'is required for rules of direction out',
  })
const rules = z.array(rule).max(50)

const target = z.union([
  z.object({ type: z.literal('server'), server: z.object({ id: z.int() }) }),
  z.object({ type: z.literal('label_selector'), label_selector: z.object({ selector: z.string().min(1) }) }),
])
const createBody = z.object({
  name,
  labels: labels.default({}),
  rules: rules.default([]),
  apply_to: z.array(target).nullish(),
})
const changeBody = z.object({ name: name.optional(), labels: labels.optional() })
const applyBody = z.object({ apply_to: z.array(target).min(1) })
const removeBody = z.object({ remove_from: z.array(target).min(1) })
const what = 'firewall'

export const firewallRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/firewalls',
    handle: (call) =>
      list(call, {
        field: 'firewalls',
        records: call.project.firewalls.values(),
        view: (firewall) => firewallView(call.project, firewall),
        filters: { name: (firewall) => firewall.name },
        sorts: { name: (firewall) => firewall.name, created: (firewall) => firewall.created },
      }),
  },
  {
    method: 'POST',
    path: '/firewalls',
    handle: (call) => {
      const { project, world } = call
      const { apply_to, ...body } = bodyOf(call, createBody)
      checkName(project.firewalls, body.name, what)
      checkQuota(call, 'firewall', project.firewalls.size)
      const firewall: Firewall = { id: world.nextId(), ...body, applied_to: [], created: timeOf(world.now()) }
      const targets = apply_to ?? []
      checkTargets(call, targets)
      project.firewalls.set(firewall.id, firewall)
      const actions = [setRules(call, firewall), ...targets.map((each) => applyFirewall(call, firewall, each))]
      return created({ firewall: firewallView(project, firewall), actions: actions.map((a) => actionView(world, a)) })
    },
  },
  {
    method: 'GET',
    path: '/firewalls/:id',
    handle: (call) => ok({ firewall: firewallView(call.project, recordOf(call, call.project.firewalls, what)) }),
  },
  {
    method: 'PUT',
    path: '/firewalls/:id',
    handle: (call) => {
      const firewall = recordOf(call, call.project.firewalls, what)
      const change = bodyOf(call, changeBody)
      if (change.name !== undefined) checkName(call.project.firewalls, change.name, what, firewall)
      rewrite(firewall, change)
      call.world.changed()
      return ok({ firewall: firewallView(call.project, firewall) })
    },
  },
  {
    method: 'DELETE',
    path: '/firewalls/:id',
    handle: (call) => {
      const firewall = recordOf(call, call.project.firewalls, what)
      if (firewall.applied_to.length > 0) throw new ApiError(422, 'resource_in_use', 'firewall is in use')
      call.project.firewalls.delete(firewall.id)
      call.world.changed()
      return noContent
    },
  },
  {
    method: 'POST',
    path: '/firewalls/:id/actions/set_rules',
    handle: (call) => {
      const firewall = recordOf(call, call.project.firewalls, what)
      firewall.rules = bodyOf(call, z.object({ rules })).rules
      return actionsAnswer(call, [setRules(call, firewall)])
    },
  },
  {
    method: 'POST',
    path: '/firewalls/:id/actions/apply_to_resources',
    handle: (call) => {
      const firewall = recordOf(call, call.project.firewalls, what)
      const { apply_to } = bodyOf(call, applyBody)
      checkTargets(call, apply_to)
      if (apply_to.some((each) => firewall.applied_to.some((other) => isSame(each, other)))) {
        throw new ApiError(422, 'firewall_already_applied', 'firewall is already applied')
      }
      return actionsAnswer(
        call,
        apply_to.map((each) => applyFirewall(call, firewall, each)),
      )
    },
  },
  {
    method: 'POST',
    path: '/firewalls/:id/actions/remove_from_resources',
    handle: (call) => {
      const firewall = recordOf(call, call.project.firewalls, what)
      const { remove_from } = bodyOf(call, removeBody)
      if (!remove_from.every((each) => firewall.applied_to.some((other) => isSame(each, other)))) {
        throw new ApiError(422, 'firewall_already_removed', 'firewall is not applied')
      }
      firewall.applied_to = firewall.applied_to.filter((each) => !remove_from.some((other) => isSame(each, other)))
      return actionsAnswer(
        call,
        remove_from.map((each) => begin(call, 'remove_firewall', firewall, each)),
      )
    },
  },
]

const actionsAnswer = (call: Call, actions: Action[]) =>
  created({ actions: actions.map((action) => actionView(call.world, action)) })

/** Makes a firewall hold for a server, or for all that a selector chooses. */
export function applyFirewall(call: Call, firewall: Firewall, to: FirewallTarget): Action {
  firewall.applied_to.push(to)
  return begin(call, 'apply_firewall', firewall, to)
}

const setRules = (call: Call, firewall: Firewall): Action => begin(call, 'set_firewall_rules', firewall)

function begin(call: Call, command: string, firewall: Firewall, to?: FirewallTarget): Action {
  const { world, project } = call
  const server = to?.type === 'server' ? [{ id: to.server.id, type: 'server' }] : []
  const resources = [{ id: firewall.id, type: 'firewall' }, ...server]
  return world.actions.begin({ project, command, resources, work: () => admitAll(call) })
}

function checkTargets({ project }: Call, targets: readonly FirewallTarget[]): void {
  for (const each of targets) {
    if (each.type === 'server') referred(project.servers, each.server.id, 'server')
    else parseSelector(each.label_selector.selector)
  }
}

const isSame = (a: FirewallTarget, b: FirewallTarget): boolean =>
  a.type === 'server'
    ? b.type === 'server' && a.server.id === b.server.id
    : b.type === 'label_selector' && a.label_selector.selector === b.label_selector.selector
