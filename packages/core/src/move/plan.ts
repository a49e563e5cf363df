import { type CloudWish, GibilError, type MoveBox, type Provider, type Shape } from '@gibil/contract'
import { defaultImage } from '../box/default-image.ts'
import { checkFits, chooseSize } from '../box/sizes.ts'
import { checkCanMount } from '../box/volume-mounts.ts'
import type { BoxRecord, Making } from '../box-record.ts'
import { parseTtl } from '../lease/terms.ts'
import { driverOf } from '../plane/chosen.ts'
import type { Context } from '../plane/context.ts'
import { checkEgress } from '../plane/egress.ts'
import { resolveImage } from '../plane/images.ts'
import { managed } from '../plane/managed.ts'
import { leaseAt } from './lease-at.ts'

export interface Plan {
  readonly to: Making
  readonly cloudWish: CloudWish | undefined
  /** Its machine has a system of its own, over which the tree is laid; else the tree is its image. */
  readonly ownSystem: boolean
  /** It stays in its place: only what its machine may use changes. */
  readonly inPlace: boolean
  /** What will not be as before, a sentence each. */
  readonly notes: readonly string[]
  /** What of the record changes with the place. */
  readonly changes: Partial<BoxRecord>
}

/** Docker's data is in a form that only a whole machine can hold: device files that hide what is below, and attributes that say so. */
export const dockerData = ['var/lib/docker', 'var/lib/containerd']
const minute = 60_000

/**
 * What a box is to become, checked before anything is made. Throws `unsupported_by_shape`, `invalid_size`, `size_beyond_host`, `lease_out_of_range`,
 * `image_not_found`, and what keeps a driver from being used.
 */
export async function planMove(context: Context, record: BoxRecord, input: MoveBox): Promise<Plan> {
  const { drivers, deps, policy } = context
  const named = input.shape === 'managed' ? 'vm' : input.shape
  const provider = input.provider ?? (named === undefined || named === 'vm' ? record.provider : 'local')
  const shape = named ?? (provider === 'local' ? record.shape : 'vm')
  checkPlace({ shape, provider })
  const preset = input.shape === 'managed' ? await managed(context, provider, input) : undefined
  const size =
    preset?.size ?? chooseSize({ ...(input.size === undefined ? record.size : {}), ...withoutUndefined(input) })
  const inPlace = shape === record.shape && provider === record.provider
  if (inPlace && preset) throw noWorkstation(record)
  if (inPlace) return { ...stay(record, input, size), ownSystem: false, inPlace }
  const place = { shape, provider, chosenBecause: null }
  const driver = provider === 'local' ? driverOf(drivers, place) : await drivers.reach(place)
  // What it is kept from it is to be kept from there, too.
  if (record.egress) checkEgress(record.egress, record.network, driver)
  if (record.volumes?.length) checkCanMount(driver, 'namespaces')
  await checkFits(size, place, deps.host)
  parseTtl(record.ttlMs === null ? 'none' : record.ttlMs / minute, shape)
  const ownSystem = shape === 'vm'
  const image = ownSystem ? (preset?.image ?? defaultImage(shape, policy)) : record.image
  const { digest } = ownSystem ? await resolveImage(deps.images, provider, image) : { digest: record.imageDigest }
  const quoted = driver.quote && (await driver.quote({ image: bare(image, digest), size, cloud: input.cloud }))
  if (quoted && !quoted.some(({ available }) => available)) {
    throw new GibilError('cloud_sold_out', `${provider} has no machine of that size now.`, {
      hint: 'Try another size or location, or later. The box is as it was.',
    })
  }
  const notes = ['Processes do not go along: what ran in it has to be started again.']
  const lease = leaseAt(record, driver.capabilities.has('pause'))
  if (lease.pauseLost.length > 0) {
    notes.push(
      `A ${shape} of ${provider} cannot be paused: it will be stopped instead at the end of its lease or when idle.`,
    )
  }
  if (record.isolation === 'gvisor' && shape !== 'container')
    notes.push('It has a kernel of its own instead of gVisor.')
  return {
    to: { shape, provider, image, imageDigest: digest, size },
    cloudWish: provider === 'local' ? undefined : (input.cloud ?? {}),
    ownSystem,
    inPlace,
    notes,
    changes: {
      chosenBecause: null,
      isolation: shape === 'container' ? record.isolation : 'namespaces',
      ...lease,
    },
  }
}

const bare = (name: string, digest: string) => ({ name, digest, layers: [], env: {}, workdir: null, user: null })

const withoutUndefined = ({ size, cpu, memoryMib, diskMib }: MoveBox) => ({
  ...(size === undefined ? {} : { size }),
  ...(cpu === undefined ? {} : { cpu }),
  ...(memoryMib === undefined ? {} : { memoryMib }),
  ...(diskMib === undefined ? {} : { diskMib }),
})

function checkPlace({ shape, provider }: { shape: Shape; provider: Provider }): void {
  if (provider === 'local' || shape === 'vm') return
  throw new GibilError('unsupported_by_shape', `A box of ${provider} is a vm, and no ${shape}.`, {
    hint: 'Leave --shape out, or keep it on this machine: --provider local.',
  })
}

const noWorkstation = ({ name }: BoxRecord): GibilError =>
  new GibilError('unsupported_by_shape', `The box "${name}" is a vm already and keeps its system.`, {
    hint: `Give it another size: \`gibil move ${name} --size large\`; or make a workstation: \`gibil create --shape managed\`.`,
  })

/** Its disk stays, so only what is given anew with each start can change. */
function stay(
  record: BoxRecord,
  input: MoveBox,
  size: Making['size'],
): Pick<Plan, 'to' | 'cloudWish' | 'notes' | 'changes'> {
  const { shape, provider, image, imageDigest, name } = record
  if (provider !== 'local') {
    throw new GibilError(
      'unsupported_by_shape',
      `The machine of the box "${name}" cannot change its size at ${provider}.`,
      {
        hint: 'Move it to this machine (--provider local), and from there to a larger one.',
      },
    )
  }
  // A preset names a disk too, but nobody who wants more memory means a smaller or larger disk.
  const diskMib = input.diskMib ?? record.size.diskMib
  if (diskMib !== record.size.diskMib) {
    throw new GibilError('unsupported_by_shape', `The disk of a ${shape} keeps its size.`, {
      hint: `Move it to another shape with that size, and back if need be: \`gibil move ${name} --shape ${shape === 'container' ? 'microvm' : 'container'} --disk …\`.`,
    })
  }
  const same = size.cpu === record.size.cpu && size.memoryMib === record.size.memoryMib
  if (same) {
    throw new GibilError('invalid_request', `The box "${name}" is a ${shape} of that size already.`, {
      hint: 'Name another shape, provider or size: `gibil move --help`.',
    })
  }
  const notes = ['It is stopped and started again on its disk: its processes end.']
  return {
    to: { shape, provider, image, imageDigest, size: { ...size, diskMib } },
    cloudWish: undefined,
    notes,
    changes: {},
  }
}
