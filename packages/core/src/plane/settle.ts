import {
  type CreateBox,
  GibilError,
  type OnExpire,
  openEgress,
  type Provider,
  parseRepo,
  type RepoInput,
  withoutCredentials,
} from '@gibil/contract'
import { defaultImage } from '../box/default-image.ts'
import { shapeFor } from '../box/image-shape.ts'
import { checkFits, chooseSize } from '../box/sizes.ts'
import { type Wanted, wantedBy } from '../box/wanted.ts'
import type { BoxRecord, ExplicitField, Owner, RepoRecord } from '../box-record.ts'
import { autoShape } from '../choose/auto.ts'
import type { SetupScript } from '../gibil-yml/config.ts'
import { parseGibilYml } from '../gibil-yml/parse.ts'
import { parseIdle, parseTtl } from '../lease/terms.ts'
import type { Driver, ResolvedImage } from '../ports/driver.ts'
import { repoPath } from '../setup/clone.ts'
import { driverOf, withReason } from './chosen.ts'
import { cloudTerms } from './cloud-terms.ts'
import type { Context, RepoToken } from './context.ts'
import { checkEgress } from './egress.ts'
import { resolveImage } from './images.ts'
import { managed, managedBy } from './managed.ts'
import { settleVolumes } from './volumes.ts'

/** What an idle limit does when nobody says: the box sleeps, and wakes when it is used. */
export const idleActionOf = ({ capabilities }: Driver): OnExpire => (capabilities.has('pause') ? 'pause' : 'stop')

export interface Settled {
  /** A record without what differs between boxes of one fleet, and whose it is. */
  readonly draft: Omit<BoxRecord, 'id' | 'name' | 'owner' | 'createdAt' | 'expiresAt'>
  readonly token: RepoToken | null
}

interface Whose {
  readonly owner: Owner
  readonly fleet?: string | null
  /** The image that it will be made of, when that is not there yet. */
  readonly coming?: ResolvedImage
}

/** Throws `unsupported_by_shape`. */
export function checkCanPause(driver: Driver, onExpire: OnExpire): void {
  if (onExpire !== 'pause' || driver.capabilities.has('pause')) return
  throw new GibilError('unsupported_by_shape', `A box of shape ${driver.shape} cannot be paused when its lease ends.`, {
    hint: 'Let it stop or be destroyed instead: --on-expire stop, --on-idle stop.',
  })
}

/**
 * Checks all that was asked for before anything is made. Throws the first thing that is wrong with it.
 */
export async function settle(
  context: Context,
  input: Omit<CreateBox, 'name' | 'wait'>,
  { owner, fleet = null, coming }: Whose,
): Promise<Settled> {
  const { deps, drivers, policy } = context
  const explicit = explicitFields(input)
  const provider = input.provider ?? 'local'
  const asked = { ...(await askedFor(context, input, provider)), ttl: input.ttl }
  // What the file says of lease, ports and set-up is read from the tree itself, once it is in the box.
  const config = input.repo?.config
  const told = config === undefined ? undefined : parseGibilYml(config)
  const wanted =
    told === undefined ? asked : wantedBy(told, asked, explicit, policy, await managedBy(context, provider, told))
  const { image: name, size } = wanted
  const image =
    coming ??
    (await resolveImage(deps.images, provider, name).catch((error) => {
      // Where no box can be made at all that is what to say, not that nobody has made an image.
      driverOf(drivers, { ...wanted, provider })
      throw withReason(error, { ...wanted, provider })
    }))
  const shape = shapeFor(image, wanted.shape, explicit.includes('shape') || (told?.shape ?? null) !== null)
  const chosenBecause = shape === wanted.shape ? wanted.chosenBecause : madeFor(name)
  const cloud = cloudTerms(input, { provider, shape })
  const ttlMs = parseTtl(input.ttl, shape)
  const idleMs = parseIdle(input.idle)
  const onExpire = input.onExpire ?? 'destroy'
  const network = input.network ?? 'internet'
  const { repo, token } = settleRepo(input.repo)
  if (repo?.url && network === 'none') {
    throw new GibilError('invalid_request', 'A box without a network cannot clone a repository.', {
      hint: 'Give it a network, or a local path, which is sent to it.',
    })
  }
  const isolation = input.isolation ?? 'namespaces'
  if (isolation === 'gvisor' && shape !== 'container') {
    throw new GibilError(
      'unsupported_by_shape',
      `A box of shape ${shape} has a kernel of its own and takes no other.`,
      {
        hint: 'Leave --isolation out, or give it the shape container.',
      },
    )
  }
  const driver = await drivers.reach({ shape, provider }).catch((error) => {
    throw withReason(error, { shape, provider, chosenBecause })
  })
  checkEgress(input.egress ?? openEgress, network, driver)
  const volumes = await settleVolumes(context, input.volumes, owner, { driver, isolation })
  checkCanPause(driver, onExpire)
  if (input.onIdle !== undefined) checkCanPause(driver, input.onIdle)
  await checkFits(size, { shape, provider }, deps.host)
  return {
    token,
    draft: {
      shape,
      provider,
      image: name,
      imageDigest: image.digest,
      size,
      desired: 'running',
      status: 'creating',
      readiness: 'creating',
      failure: null,
      chosenBecause,
      onFailure: input.onFailure ?? 'restart',
      user: input.user ?? image.user ?? 'agent',
      env: input.env ?? {},
      labels: input.labels ?? {},
      fleet,
      network,
      ...(input.egress === undefined ? {} : { egress: input.egress }),
      isolation,
      ...(volumes.length === 0 ? {} : { volumes }),
      ...cloud,
      address: null,
      ports: [],
      published: [],
      repo,
      explicit,
      ...setupOf(input.setup, told?.setup),
      from: null,
      restoring: null,
      parent: null,
      config: null,
      remake: null,
      remakes: 0,
      tasksDone: false,
      ttlMs,
      idleMs,
      onExpire,
      onIdle: input.onIdle ?? idleActionOf(driver),
      warnedFor: null,
      hookFor: null,
      startedAt: null,
      lastActiveAt: null,
      timings: [],
    },
  }
}

/** The script of the create itself, else that of the file. */
const setupOf = (asked: string | undefined, told: SetupScript | null | undefined): Pick<BoxRecord, 'setup'> => {
  if (asked !== undefined && asked.trim() !== '') return { setup: { run: asked, timeoutMs: null } }
  return told ? { setup: told } : {}
}

/** Why a box has the shape of its image. */
export const madeFor = (image: string): readonly string[] => [`the image ${image} is made for it`]

async function askedFor(
  context: Context,
  input: Omit<CreateBox, 'name' | 'wait'>,
  provider: Provider,
): Promise<Wanted> {
  const size = chooseSize(input)
  if (input.shape === 'managed') return managed(context, provider, input)
  const first = shapeAsked(input, provider)
  return { ...first, image: input.image ?? defaultImage(first.shape, context.policy), size }
}

function shapeAsked(
  { shape, ttl, cloudInit }: Omit<CreateBox, 'name' | 'wait'>,
  provider: Provider,
): Pick<Wanted, 'shape' | 'chosenBecause'> {
  if (shape !== undefined && shape !== 'auto' && shape !== 'managed') return { shape, chosenBecause: null }
  const auto = autoShape({ provider, ttl, cloudInit: cloudInit !== undefined, services: undefined })
  return { shape: auto.shape, chosenBecause: auto.because }
}

function explicitFields(input: Omit<CreateBox, 'name' | 'wait'>): ExplicitField[] {
  const named = (field: ExplicitField | 'size'): boolean =>
    input[field] !== undefined && input[field] !== 'auto' && !input.defaulted?.includes(field)
  const sizes = ['cpu', 'memoryMib', 'diskMib'] as const
  const others = ['shape', 'image', 'ttl', 'idle', 'onExpire', 'onIdle', 'onFailure'] as const
  // A named preset is all three, and `managed` is the image, too.
  const preset = input.shape === 'managed' && named('shape')
  return [
    ...sizes.filter((field) => preset || named('size') || named(field)),
    ...others.filter((field) => named(field) || (preset && field === 'image')),
  ]
}

function settleRepo(input: RepoInput | undefined): { repo: RepoRecord | null; token: RepoToken | null } {
  if (!input) return { repo: null, token: null }
  const { branch } = input
  if (branch !== undefined && !/^[^\s\-:?*[\\^~][^\s:?*[\\^~]*$/.test(branch)) {
    throw new GibilError('invalid_repo', `"${branch}" is not the name of a branch or tag.`)
  }
  const base = { path: repoPath, ...(branch === undefined ? {} : { branch }) }
  if (input.upload) {
    if (input.url !== undefined)
      throw new GibilError('invalid_repo', 'A repository is either cloned or uploaded, not both.')
    const source = withoutCredentials(input.source ?? 'upload')
    return { repo: { ...base, source, url: null, needsToken: false }, token: null }
  }
  const address = parseRepo(input.url ?? '')
  if (address.kind !== 'https') {
    const what =
      address.kind === 'ssh' ? 'An ssh address needs your keys, which no box has' : 'A local path is not seen by a box'
    throw new GibilError('invalid_repo', `${what}: "${withoutCredentials(input.url ?? '')}".`, {
      hint: 'The CLI fetches such a repository itself and sends it; to the API give an https address, or `upload: true`.',
    })
  }
  const token =
    input.token === undefined
      ? address.credentials
      : { username: address.credentials?.username || 'x-access-token', password: input.token }
  const source = withoutCredentials(input.source ?? address.url)
  return { repo: { ...base, source, url: address.url, needsToken: token !== null }, token }
}
