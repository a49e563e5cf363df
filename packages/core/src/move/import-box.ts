import {
  type Box,
  type BoxManifest,
  type CreateBox,
  GibilError,
  type ImportBox,
  type OnExpire,
  withoutCredentials,
} from '@gibil/contract'
import { checkName } from '../box/names.ts'
import type { Owner } from '../box-record.ts'
import type { CreateOptions } from '../control-plane.ts'
import { parseGibilYml } from '../gibil-yml/parse.ts'
import { driverOf } from '../plane/chosen.ts'
import type { Context } from '../plane/context.ts'
import { type Creator, checkNameIsFree } from '../plane/create.ts'
import { publishedAnew } from '../plane/publishing.ts'
import { type Settled, settle } from '../plane/settle.ts'
import { repoPath } from '../setup/clone.ts'
import type { ImportInput } from './box-file.ts'
import { checkTree } from './check-tree.ts'

interface Parts {
  readonly context: Context
  readonly creator: Creator
}

/** See `BoxPlane.importBox`. Whatever the manifest says is checked as what a caller of create says. */
export async function importBox(
  { context, creator }: Parts,
  { manifest, tree, wish }: ImportInput,
  options: CreateOptions,
): Promise<Box> {
  const { deps, admission, stopping } = context
  const { owner = null, onProgress } = options
  const name = checkName(wish.name ?? manifest.name)
  await checkNameIsFree(context.boxes, name, owner)
  const settled = await settleImport(context, owner, manifest, wish)
  const place = await admission.reserve(owner, settled.draft.size)
  try {
    const signal = options.signal ? AbortSignal.any([options.signal, stopping]) : stopping
    const { image } = await deps.images
      .saveTree(
        { name: null, source: `file of box ${manifest.name}`, of: manifest.imageDefaults, tar: tree },
        { signal, ...(onProgress ? { onProgress } : {}) },
      )
      .catch((error) => {
        throw asOfFile(error)
      })
    const draft = { ...settled.draft, image: manifest.image, imageDigest: image.digest }
    return await creator.make({ ...settled, draft }, place, name, 'ready', options)
  } finally {
    place.leave()
  }
}

const asOfFile = (error: unknown): unknown =>
  GibilError.is(error) && error.code === 'image_damaged'
    ? new GibilError('box_file_invalid', `The file is damaged: ${error.message}`, {
        cause: error,
        hint: 'Copy it again, or export the box again. Nothing of it is kept.',
      })
    : error

async function settleImport(context: Context, owner: Owner, manifest: BoxManifest, wish: ImportBox): Promise<Settled> {
  const { shape = manifest.shape, name: _, size: preset, ...wanted } = wish
  if (shape === 'vm') {
    throw new GibilError(
      'unsupported_by_shape',
      'A vm has a system of its own, so that none is made of the files of a box.',
      { hint: 'Import it with --shape microvm or container, and then: gibil move <box> --shape vm' },
    )
  }
  const driver = driverOf(context.drivers, { shape, provider: 'local', chosenBecause: null })
  const able = (what: OnExpire): OnExpire => (what === 'pause' && !driver.capabilities.has('pause') ? 'stop' : what)
  const { lease, config, repo } = manifest
  const input: CreateBox = {
    shape,
    provider: 'local',
    image: manifest.image,
    ...(preset === undefined ? manifest.size : { size: preset }),
    ttl: lease.ttlSeconds === null ? 'none' : `${lease.ttlSeconds}s`,
    ...(lease.idleSeconds === null ? {} : { idle: `${lease.idleSeconds}s` }),
    onExpire: able(lease.onExpire),
    ...(lease.onIdle === null ? {} : { onIdle: able(lease.onIdle) }),
    onFailure: lease.onFailure,
    user: manifest.user,
    network: manifest.network,
    egress: manifest.egress,
    labels: manifest.labels,
    isolation: shape === 'container' ? manifest.isolation : 'namespaces',
    ...withoutUndefined(wanted),
    env: { ...manifest.env, ...wish.env },
  }
  const coming = { name: manifest.image, digest: '', layers: [], ...manifest.imageDefaults }
  const settled = await settle(context, input, { owner, coming })
  checkTree(manifest.tree, settled.draft, manifest, 'Nothing was made.')
  const told = config === null ? null : parseGibilYml(config)
  return {
    ...settled,
    draft: {
      ...settled.draft,
      published: publishedAnew(manifest.published, context.deps.random),
      repo: repo && {
        ...repo,
        source: withoutCredentials(repo.source),
        path: repoPath,
        url: null,
        needsToken: false,
      },
      config: told,
      ports: told?.ports ?? [],
      hooked: manifest.hooked,
      // What they have made is in the tree.
      tasksDone: true,
    },
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

const withoutUndefined = <T extends object>(value: T): Defined<T> =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Defined<T>
