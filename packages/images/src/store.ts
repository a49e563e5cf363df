import type { Readable } from 'node:stream'
import { type BuildImage, GibilError, type Image, type PruneResult, type PullImage } from '@gibil/contract'
import type { Clock, ImageSource, Log, ResolvedImage, SavedTree, StepsBuild } from '@gibil/core'
import type { HostKit } from '@gibil/hostkit-client'
import type * as z from 'zod'
import { openBuildCache } from './build-cache.ts'
import { buildRecipe } from './build-recipe.ts'
import type { BuildNetworks, BuildRunner } from './build-runner.ts'
import { cloudScript } from './cloud-script.ts'
import { buildDockerfile } from './dockerfile/build.ts'
import { openContext } from './dockerfile/context.ts'
import { collectGarbage, layersOf } from './garbage.ts'
import { openImageHome } from './home.ts'
import { importImage } from './import-image.ts'
import { openLayerStore } from './layer-store.ts'
import { checkName, defaultUser, emptyConfig, type ImageManifest, shapeOf, toImage } from './manifest.ts'
import { openManifestStore } from './manifest-store.ts'
import { createMutex } from './mutex.ts'
import type { Operation, StoreParts } from './operation.ts'
import { createOperations } from './operations.ts'
import type { OperationOptions } from './progress.ts'
import { pullImage } from './pull-image.ts'
import { readRecipe } from './recipe.ts'
import { createRuncRunner, sweepBuildSteps } from './runc-runner.ts'
import { saveTree } from './save-tree.ts'
import { buildSteps } from './steps/build-steps.ts'
import type { HostEnv } from './tool.ts'
import { openWorkspaces } from './workspace.ts'

export interface ImageStoreOptions {
  /** `$GIBIL_HOME`; images are in its folder `images`. One process at a time opens a home to change it. */
  readonly home: string
  /** The folder of our recipes, `images/` of the sources. */
  readonly recipesDir: string
  /** The daemon's environment: PATH, proxies and npm settings of it reach host programs. */
  readonly env: HostEnv
  /** As `process.arch`. */
  readonly arch: string
  readonly clock: Clock
  readonly log: Log
  /** The digests that boxes mean, stopped ones too. */
  readonly digestsInUse: () => Promise<ReadonlySet<string>>
  /** Gives build steps a user namespace of their own; without it their root is the host's, with less power. */
  readonly hostkit?: Pick<HostKit, 'mountOverlay' | 'unmount'>
  /** What runs `RUN`; absent: runc. */
  readonly runner?: BuildRunner
  /** Networks for `RUN`; absent: the host's own if allowed, else none. */
  readonly networks?: BuildNetworks
  readonly allowHostNetwork?: boolean
  /** Bytes that no operation may take from the file system of the home; default 1 GiB. */
  readonly reserveBytes?: number
}

/**
 * The images of this machine. Every change is an operation that either ends in a whole image or leaves nothing, whatever
 * happens to it. An image never changes once it is there: building its name again makes another one.
 */
export interface ImageStore extends ImageSource {
  /** By name or `sha256:` digest. Throws `image_not_found`, `image_damaged`. */
  resolve(nameOrDigest: string): Promise<ResolvedImage>
  list(): Promise<Image[]>
  /** Throws `image_not_found`, `image_damaged`. */
  get(nameOrDigest: string): Promise<Image>
  /** From a recipe, or from the Dockerfile of a context (a tar stream, or a folder of this host). Throws `image_build_failed`. */
  build(
    input: z.infer<typeof BuildImage>,
    context: Readable | string | undefined,
    options?: OperationOptions,
  ): Promise<Image>
  /** By steps of a program. Throws `image_build_failed`, whose details name the `step`. */
  buildSteps(input: StepsBuild, options?: OperationOptions): Promise<Image>
  /** What brings a recipe of ours to a machine of a cloud, as a script for root. Throws `image_not_found`. */
  cloudScript(recipe: string): Promise<string>
  /** Throws `image_pull_failed`. */
  pull(input: z.infer<typeof PullImage>, options?: OperationOptions): Promise<Image>
  /** From a root file system as a tar stream, plain or compressed by gzip, xz or zstd. Throws `image_damaged`. */
  importTar(name: string, tar: Readable, options?: OperationOptions): Promise<Image>
  /** Throws `image_not_found`, `image_in_use`. With `whileUsed` its name goes at once, and it itself with the last box that uses it. */
  remove(name: string, options?: { readonly whileUsed?: boolean }): Promise<void>
  /** Removes unfinished work, cached build steps and layers that no image needs. */
  prune(): Promise<PruneResult>
  /** Counts every layer once, so that the first box of an image need not wait for it; names the damaged images. */
  verify(): Promise<string[]>
}

/** A digest just resolved may belong to a box that is not written down yet: its layers stay so long. */
const pinMs = 60_000
/** Cached build steps that no image needs are kept so long. */
const cacheMs = 7 * 24 * 60 * 60 * 1000
const defaultReserve = 1024 ** 3

const damaged = (image: ImageManifest, layer: string): GibilError => {
  const name = image.name ?? image.digest
  return new GibilError(
    'image_damaged',
    `The image ${name} is damaged: its layer ${layer.slice(0, 12)} is missing or incomplete.`,
    {
      hint: `Remove it by \`gibil image rm ${name}\`, then build, pull or import it again.`,
      details: { image: name, digest: image.digest, layer },
    },
  )
}

/** Opens the store of a home and removes what an earlier process left unfinished. */
export const openImageStore = async (options: ImageStoreOptions): Promise<ImageStore> => {
  const { env, arch, clock, log } = options
  const home = await openImageHome(options.home)
  const workspaces = openWorkspaces(home.tmp, env, 0o700)
  await workspaces.sweep()
  await sweepBuildSteps(home.root, env)
  const layers = openLayerStore(home.layers, env)
  const manifests = await openManifestStore(home.manifests)
  const cache = openBuildCache(home.cache, layers, clock.now)
  const parts: StoreParts = {
    home,
    recipesDir: options.recipesDir,
    layers,
    manifests,
    cache,
    runner: options.runner ?? createRuncRunner({ env, root: home.root, arch, hostkit: options.hostkit }),
    networks: options.networks,
    allowHostNetwork: options.allowHostNetwork ?? false,
    env,
    arch,
    clock,
  }
  const alone = createMutex()
  const recipeTurn = createMutex()
  const held = new Map<symbol, Set<string>>()
  const pinned = new Map<string, number>()
  const isHeld = (layer: string): boolean => [...held.values()].some((set) => set.has(layer))
  const isPinned = (digest: string): boolean => clock.now() - (pinned.get(digest) ?? Number.NEGATIVE_INFINITY) < pinMs

  const collect = async (): Promise<PruneResult> => {
    const used = await options.digestsInUse()
    const inUse = (digest: string): boolean => used.has(digest) || isPinned(digest)
    return collectGarbage({ layers, manifests, cache, inUse, held: isHeld })
  }
  const collectQuietly = async (): Promise<void> => {
    try {
      const { removed, freedBytes } = await collect()
      if (removed.length > 0) log.info({ layers: removed.length, freedBytes }, 'layers removed')
    } catch (error) {
      log.warn(
        { err: error },
        'layers that nothing needs could not be removed; the next change of an image tries again',
      )
    }
  }

  /** Without a name an image is kept only for the boxes that use it; see `collectGarbage`. */
  const retire = async (image: ImageManifest): Promise<void> => {
    const others = manifests.all().filter((one) => one.digest === image.digest && one !== image)
    if (others.length === 0) await manifests.put({ ...image, name: null })
  }

  const operate = createOperations({
    parts,
    workspaces,
    reserve: options.reserveBytes ?? defaultReserve,
    holding: async (work) => {
      const token = Symbol('operation')
      const set = new Set<string>()
      held.set(token, set)
      try {
        return await work(set)
      } finally {
        held.delete(token)
      }
    },
    put: (image) =>
      alone(async () => {
        if (image.name === null) pinned.set(image.digest, clock.now())
        const before = image.name === null ? undefined : manifests.all().find((one) => one.name === image.name)
        if (before && before.digest !== image.digest) await retire(before)
        await manifests.put(image)
        log.info({ image: image.name, digest: image.digest }, 'image added')
      }),
  })
  const operation = async (
    given: OperationOptions,
    work: (operation: Operation) => Promise<ImageManifest>,
  ): Promise<Image> => {
    try {
      return toImage(await operate(given, work))
    } finally {
      await alone(collectQuietly)
    }
  }

  const find = (ref: string): ImageManifest => {
    const image = manifests.find(ref)
    if (image) return image
    throw new GibilError('image_not_found', `There is no image ${JSON.stringify(ref.slice(0, 200))} on this machine.`)
  }
  const whole = async (image: ImageManifest): Promise<void> => {
    const marks = await Promise.all(image.layers.map(layers.check))
    const missing = image.layers.find((_, index) => marks[index] === undefined)
    if (missing !== undefined) throw damaged(image, missing)
  }

  const build = async (name: string, recipeName: string, noCache: boolean, given: OperationOptions): Promise<Image> => {
    const recipe = await readRecipe(options.recipesDir, recipeName, arch)
    const before = manifests.all().find((one) => one.name === name)
    if (!noCache && before?.recipeHash === recipe.hash) {
      const isWhole = await whole(before).then(
        () => true,
        () => false,
      )
      if (isWhole) return toImage(before)
    }
    return operation(given, (one) => buildRecipe(one, recipe, { name, noCache }))
  }

  await cache.forget({ unusedSince: clock.now() - cacheMs })
  await collectQuietly()

  return {
    resolve: async (ref) => {
      const image = find(ref)
      pinned.set(image.digest, clock.now())
      await whole(image)
      return {
        name: image.name ?? image.digest,
        digest: image.digest,
        layers: image.layers.map(layers.pathOf).reverse(),
        env: image.config.env,
        workdir: image.config.workdir,
        user: defaultUser(image),
        shape: shapeOf(image),
      }
    },
    list: async () =>
      manifests
        .all()
        .filter((image) => image.name !== null)
        .map(toImage)
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    get: async (ref) => toImage(find(ref)),
    build: async (input, context, given = {}) => {
      const name = checkName(input.name)
      if (input.recipe !== undefined) {
        const recipe = input.recipe
        // One at a time: the second finds what the first has built.
        return recipeTurn(() => build(name, recipe, input.noCache ?? false, given))
      }
      if (context === undefined) {
        throw new GibilError('invalid_request', 'A build needs the name of a recipe, or a context with a Dockerfile.')
      }
      return operation(given, async (one) =>
        buildDockerfile(one, {
          name,
          context: await openContext(one, context, input.dockerfile),
          args: input.args ?? {},
          noCache: input.noCache ?? false,
        }),
      )
    },
    buildSteps: async (input, given = {}) => {
      checkName(input.name)
      return operation(given, (one) => buildSteps(one, input))
    },
    pull: async (input, given = {}) => {
      const name = checkName(input.name ?? input.reference)
      return operation(given, (one) => pullImage(one, input, name))
    },
    importTar: async (name, tar, given = {}) => {
      checkName(name)
      return operation(given, (one) => importImage(one, name, tar))
    },
    saveTree: async ({ name, source, of, tar }, given = {}) => {
      if (name !== null) checkName(name)
      const config =
        typeof of === 'string' ? manifests.find(of)?.config : (of && { ...emptyConfig, ...of }) || undefined
      let saved: Omit<SavedTree, 'image'> | undefined
      const image = await operation(given, async (one) => {
        const made = await saveTree(one, { name, source, config, tar })
        saved = made.saved
        return made.image
      })
      if (saved === undefined) throw new GibilError('internal', 'A tree was saved without a report.')
      return { image, ...saved }
    },
    cloudScript: async (recipe) => cloudScript(await readRecipe(options.recipesDir, recipe, arch)),
    remove: async (name, { whileUsed = false } = {}) =>
      alone(async () => {
        if (await manifests.removeFile(name)) return collectQuietly()
        const image = find(name)
        const others = manifests.all().filter((one) => one !== image)
        const isUsed = (await options.digestsInUse()).has(image.digest)
        const isLast = isUsed && !others.some((one) => one.digest === image.digest)
        if (isLast && !whileUsed) {
          throw new GibilError('image_in_use', `A box or a snapshot uses the image ${name}.`, {
            details: { image: name, digest: image.digest },
          })
        }
        if (image.name !== null && (isLast || isPinned(image.digest))) await retire(image)
        await manifests.remove(image)
        const elsewhere = layersOf(others)
        const own = [...layersOf([image])].filter((layer) => !elsewhere.has(layer))
        await cache.forget({ layers: new Set(own) })
        log.info({ image: name, digest: image.digest }, 'image removed')
        await collectQuietly()
      }),
    prune: () =>
      alone(async () => {
        await workspaces.sweep()
        const needed = layersOf(manifests.all())
        const spare = [...(await cache.layers())].filter((layer) => !needed.has(layer))
        await cache.forget({ layers: new Set(spare) })
        return collect()
      }),
    verify: async () => {
      const bad: string[] = []
      for (const image of manifests.all()) {
        try {
          await whole(image)
        } catch (error) {
          if (!GibilError.is(error)) throw error
          bad.push(image.name ?? image.digest)
          log.warn({ image: image.name, digest: image.digest, err: error }, 'image damaged')
        }
      }
      return bad
    },
  }
}
