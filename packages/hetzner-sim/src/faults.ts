import * as z from 'zod'
import type { ApiError } from './errors.ts'

/** How often it happens; without it, until the fault is removed. */
const times = z.int().min(1).optional()
/** Which requests: a method, and a path below /v1 in which `*` stands for anything, such as `/servers/*`. */
const request = { method: z.string().optional(), path: z.string().optional(), times }

export const faultSchema = z.discriminatedUnion('kind', [
  /** 412 for these server types at these locations. They are shown as unavailable, or not, as when the last one is taken in between. */
  z.strictObject({
    kind: z.literal('sold_out'),
    server_type: z.string().optional(),
    location: z.string().optional(),
    listed: z.boolean().default(false),
    times,
  }),
  /** Requests are refused with this status and code; `code: null` gives a page of a gateway, without JSON. */
  z.strictObject({
    kind: z.literal('answer'),
    ...request,
    status: z.int().min(400).max(599),
    code: z.string().nullable(),
    message: z.string().optional(),
  }),
  /** The request is carried out, then the connection breaks. */
  z.strictObject({ kind: z.literal('lost_answer'), ...request }),
  /** The connection breaks and nothing was done. */
  z.strictObject({ kind: z.literal('lost_request'), ...request }),
  /** Actions with this command take so many milliseconds. */
  z.strictObject({ kind: z.literal('slow_action'), command: z.string().optional(), ms: z.int().min(0), times }),
  /** Actions with this command end with an error and have no effect. */
  z.strictObject({
    kind: z.literal('failed_action'),
    command: z.string().optional(),
    code: z.string().default('action_failed'),
    message: z.string().default('Action failed'),
    times,
  }),
  /** 403 when the project would have more than `max` of this resource (`server`, `ssh_key`, `image`...). */
  z.strictObject({ kind: z.literal('quota'), resource: z.string(), max: z.int().min(0), times }),
  /** What a token may do from now on; without a token, all of them. */
  z.strictObject({ kind: z.literal('token'), token: z.string().optional(), access: z.enum(['read', 'revoked']) }),
])

export type Fault = z.input<typeof faultSchema>
type Parsed = z.output<typeof faultSchema>
type Of<K extends Parsed['kind']> = Extract<Parsed, { kind: K }>

export interface Faults {
  /** Returns the number by which it can be removed. Throws ZodError when it is none. */
  add(fault: Fault): number
  remove(id: number): boolean
  clear(): void
  list(): (Fault & { id: number })[]
}

/** What the simulator asks; each question that is answered with a fault uses up one of its times. */
export interface FaultSource {
  isListed(serverType: string, location: string): boolean
  soldOut(serverType: string, location: string): boolean
  refusal(method: string, path: string): Of<'answer'> | undefined
  isLost(what: 'lost_answer' | 'lost_request', method: string, path: string): boolean
  slowness(command: string): number | undefined
  failure(command: string): { code: string; message: string } | undefined
  /** Throws when the project has as many as it may have. */
  checkQuota(resource: string, present: number, refuse: (resource: string) => ApiError): void
  access(token: string): 'read' | 'revoked' | undefined
}

export function createFaults(): Faults & FaultSource {
  const all = new Map<number, Parsed>()
  let last = 0
  const find = <K extends Parsed['kind']>(kind: K, fits: (fault: Of<K>) => boolean): Of<K> | undefined => {
    for (const [id, fault] of all) {
      if (fault.kind !== kind || !fits(fault as Of<K>)) continue
      if ('times' in fault && fault.times !== undefined) {
        if (fault.times === 1) all.delete(id)
        else all.set(id, { ...fault, times: fault.times - 1 })
      }
      return fault as Of<K>
    }
    return undefined
  }
  const sells = (fault: Of<'sold_out'>, serverType: string, location: string): boolean =>
    (fault.server_type ?? serverType) === serverType && (fault.location ?? location) === location

  return {
    add(fault) {
      last += 1
      all.set(last, faultSchema.parse(fault))
      return last
    },
    remove: (id) => all.delete(id),
    clear: () => all.clear(),
    list: () => [...all].map(([id, fault]) => ({ ...fault, id })),
    isListed: (serverType, location) =>
      ![...all.values()].some(
        (fault) => fault.kind === 'sold_out' && !fault.listed && sells(fault, serverType, location),
      ),
    soldOut: (serverType, location) => find('sold_out', (fault) => sells(fault, serverType, location)) !== undefined,
    refusal: (method, path) => find('answer', (fault) => fits(fault, method, path)),
    isLost: (what, method, path) => find(what, (fault) => fits(fault, method, path)) !== undefined,
    slowness: (command) => find('slow_action', (fault) => (fault.command ?? command) === command)?.ms,
    failure: (command) => find('failed_action', (fault) => (fault.command ?? command) === command),
    checkQuota(resource, present, refuse) {
      if (find('quota', (fault) => fault.resource === resource && present >= fault.max)) throw refuse(resource)
    },
    access: (token) => find('token', (fault) => (fault.token ?? token) === token)?.access,
  }
}

function fits(
  fault: { method?: string | undefined; path?: string | undefined },
  method: string,
  path: string,
): boolean {
  if (fault.method !== undefined && fault.method.toUpperCase() !== method) return false
  if (fault.path === undefined) return true
  const pattern = fault.path.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${pattern.join('.*')}$`).test(path)
}
