import { type AdoptableBox, GibilError, type Provider } from '@gibil/contract'
import { checkName } from '../box/names.ts'
import type { BoxRecord } from '../box-record.ts'
import type { ControlPlane } from '../control-plane.ts'
import { parseTtl } from '../lease/terms.ts'
import type { Driver, FoundBox } from '../ports/driver.ts'
import type { Context } from './context.ts'
import { tellDeadline } from './outside-deadline.ts'
import type { Reconciler } from './reconciler.ts'
import { idleActionOf } from './settle.ts'
import { viewOf } from './view-of.ts'

type Adoption = Pick<ControlPlane, 'adoptable' | 'adopt'>

/** Clouds have full machines only. */
const shape = 'vm'

/** Boxes that another home made at a provider, and how they become boxes of this one. */
export function createAdoption(context: Context, reconciler: Reconciler): Adoption {
  const { admission, boxes, deps, drivers } = context

  const look = async (provider: Provider): Promise<{ driver: Driver; found: readonly FoundBox[] }> => {
    const driver = await drivers.reach({ provider, shape })
    if (!driver.found || !driver.adopt) {
      throw new GibilError('unsupported_by_shape', `A box of ${provider} is known to the home that made it alone.`, {
        hint: 'Boxes of a cloud can be adopted: --provider hetzner.',
      })
    }
    const known = new Map((await boxes.list()).map((record) => [record.id, record]))
    const found = await driver.found()
    return { driver, found: found.filter(({ id }) => isForeign(known.get(id))) }
  }

  return {
    async adoptable(provider = 'hetzner') {
      const { found } = await look(provider)
      return found.map((box) => toAdoptable(box, provider))
    },

    async adopt(ref, { provider = 'hetzner', name, ttl }) {
      const { driver, found } = await look(provider)
      const box = meantBy(ref, found)
      const lease = leaseOf(box, ttl, deps.clock.now())
      const known = await boxes.get(box.id)
      const taken = { ...lease, desired: 'running', adopting: true, deadlineTold: box.deadline } as const
      if (known) {
        await boxes.update(box.id, () => taken)
      } else {
        const place = await admission.reserve(null, box.size)
        try {
          // Written down first: what carries the mark of this home and has no record would be swept.
          await place.take({
            ...recordOf(box, provider),
            name: nameFor(box, name),
            onIdle: idleActionOf(driver),
            ...taken,
          })
        } catch (error) {
          throw isNameInUse(error) ? clash(box, name) : error
        } finally {
          place.leave()
        }
      }
      await reconciler.converge(box.id)
      const record = await boxes.find(box.id)
      const told = await tellDeadline(context, record).catch((error) => {
        deps.log.warn({ box: box.id, err: error }, 'its provider does not know the new end of the lease yet')
        return record
      })
      return viewOf(context, told)
    },
  }
}

/** One that was adopted from here can be had back. */
const isForeign = (record: BoxRecord | undefined): boolean =>
  record === undefined || (record.failure?.code === 'box_elsewhere' && record.desired !== 'gone')

function meantBy(ref: string, found: readonly FoundBox[]): FoundBox {
  const byId = found.find(({ id }) => id === ref)
  const named = found.filter(({ name }) => name === ref)
  if (!byId && named.length > 1) {
    const ids = named.map(({ id, home }) => `${id} (of home ${home})`).join(', ')
    throw new GibilError('invalid_request', `There are several boxes "${ref.slice(0, 80)}": ${ids}.`, {
      hint: 'Name the id of the one that is meant.',
    })
  }
  const box = byId ?? named[0]
  if (box) return box
  throw new GibilError('box_not_found', `There is no box "${ref.slice(0, 80)}" that could be adopted.`, {
    hint: 'See `gibil adopt`. Boxes of this home are in `gibil list`.',
  })
}

/**
 * A box goes on with the lease that it has. One without a deadline was not to be destroyed at its end, so it is stopped at the end of a usual one, when nobody says
 * otherwise. Throws `lease_out_of_range`.
 */
function leaseOf(
  { id, name, deadline }: FoundBox,
  ttl: string | number | undefined,
  now: number,
): Pick<BoxRecord, 'ttlMs' | 'expiresAt' | 'onExpire'> {
  const onExpire = deadline === null ? 'stop' : 'destroy'
  if (ttl !== undefined || deadline === null) {
    const ttlMs = parseTtl(ttl, shape)
    return { ttlMs, expiresAt: ttlMs === null ? null : now + ttlMs, onExpire }
  }
  const expiresAt = deadline * 1000
  if (expiresAt > now) return { ttlMs: expiresAt - now, expiresAt, onExpire }
  throw new GibilError('lease_out_of_range', `The lease of "${name}" ended at ${new Date(expiresAt).toISOString()}.`, {
    hint: `Give it another: \`gibil adopt ${id} --ttl 2h\`. Until then anybody's sweep ends it.`,
  })
}

/** Throws `invalid_name`. */
function nameFor({ id, name }: FoundBox, wanted: string | undefined): string {
  try {
    return checkName(wanted ?? name)
  } catch (error) {
    if (wanted !== undefined || !GibilError.is(error)) throw error
    throw new GibilError('invalid_name', error.message, {
      hint: `Give it a name: \`gibil adopt ${id} --name <name>\`.`,
    })
  }
}

const isNameInUse = (error: unknown): boolean => GibilError.is(error) && error.code === 'name_in_use'

const clash = ({ id, name }: FoundBox, wanted: string | undefined): GibilError =>
  new GibilError('name_in_use', `A box named "${wanted ?? name}" exists here already.`, {
    hint: `Give it another name: \`gibil adopt ${id} --name <name>\`.`,
    details: { name: wanted ?? name },
  })

/** What of a box is known where it is. Its set-up is its home's affair, and over as far as this one can tell. */
function recordOf(
  found: FoundBox,
  provider: Provider,
): Omit<BoxRecord, 'name' | 'desired' | 'ttlMs' | 'expiresAt' | 'onExpire'> {
  const { id, image, size } = found
  return {
    id,
    owner: null,
    shape,
    provider,
    image,
    imageDigest: image,
    size,
    status: 'creating',
    readiness: 'ready',
    failure: null,
    user: 'agent',
    env: {},
    labels: {},
    fleet: null,
    network: 'internet',
    isolation: 'namespaces',
    address: null,
    cloudWish: {},
    ports: [],
    published: [],
    repo: null,
    explicit: [],
    from: null,
    restoring: null,
    parent: null,
    config: null,
    remake: null,
    remakes: 0,
    tasksDone: true,
    idleMs: null,
    warnedFor: null,
    hookFor: null,
    createdAt: Date.parse(found.createdAt),
    startedAt: null,
    lastActiveAt: null,
    timings: [],
  }
}

function toAdoptable(found: FoundBox, provider: Provider): AdoptableBox {
  const { id, name, owner, image, status, createdAt, deadline, home, host, reachable, cloud, address } = found
  return {
    id,
    name,
    provider,
    owner,
    image,
    status,
    cloud: cloud
      ? { serverType: cloud.serverType, location: cloud.location, arch: cloud.arch, address, price: cloud.price }
      : null,
    createdAt,
    expiresAt: deadline === null ? null : new Date(deadline * 1000).toISOString(),
    home,
    host,
    reachable,
  }
}
