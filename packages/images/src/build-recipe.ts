import { mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import { cacheKey } from './build-cache.ts'
import { emptyConfig, type ImageManifest } from './manifest.ts'
import type { Operation } from './operation.ts'
import { inPhase, type OperationOptions } from './progress.ts'
import type { Recipe } from './recipe.ts'
import { buildDebian } from './recipe-debian.ts'
import { layFiles } from './recipe-files.ts'
import { buildNode } from './recipe-node.ts'
import { buildNpmTools } from './recipe-npm.ts'
import type { HostEnv } from './tool.ts'

type Make = (folder: string, options: OperationOptions & { env: HostEnv }) => Promise<string>

const layerOf = async (
  operation: Operation,
  key: string,
  noCache: boolean,
  signal: AbortSignal,
  make: Make,
): Promise<string> => {
  const hit = noCache ? undefined : await operation.cached(key)
  if (hit?.layer) return hit.layer
  const folder = join(operation.folder, key.slice(0, 16))
  await mkdir(folder, { mode: 0o700 })
  const tree = await make(folder, { env: operation.env, signal, onProgress: operation.onProgress })
  const { id } = await inPhase(operation, 'store layer', undefined, () => operation.commit(tree))
  await operation.cache.put(key, id)
  return id
}

/** Runs one of the recipe's own checks as its user, without network, in a copy that is thrown away. */
const checkTools = async (
  operation: Operation,
  recipe: Recipe,
  layers: readonly string[],
  path: string,
): Promise<void> => {
  const folder = await mkdtemp(join(operation.folder, 'check-'))
  const home = `/home/${recipe.user}`
  const { exitCode, tail } = await operation.runner.run({
    layers: layers.map(operation.layers.pathOf).reverse(),
    folder,
    argv: ['/check-tools'],
    env: { ...recipe.env, HOME: home, USER: recipe.user },
    cwd: home,
    user: { uid: 1000, gid: 1000, groups: [], home },
    network: { kind: 'none' },
    files: [{ source: path, target: '/check-tools', executable: true }],
    onLine: (message) => operation.onProgress?.({ phase: 'check tools', message }),
    signal: operation.signal,
  })
  if (exitCode === 0) return
  throw new GibilError(
    'image_build_failed',
    `The tools of the recipe ${recipe.name} do not all work: ${tail.trim().split('\n').at(-1)}`,
    {
      hint: 'Look at the log in the error, then correct the recipe.',
      details: { log: tail },
    },
  )
}

/** Builds an image from a recipe; what has not changed since the last build is not built again. */
export const buildRecipe = async (
  operation: Operation,
  recipe: Recipe,
  options: { name: string; noCache: boolean },
): Promise<ImageManifest> => {
  const { arch } = operation
  const makers: (readonly [key: string, make: Make])[] = [
    [
      // What a recipe without backports has made of old is still that.
      cacheKey([
        ...['debian', 1, arch, recipe.suite, recipe.packages, recipe.setupText],
        ...(recipe.backports.length > 0 ? [recipe.backports] : []),
      ]),
      (folder, given) => buildDebian(recipe, folder, given),
    ],
    [
      cacheKey(['node', 1, arch, recipe.node, recipe.npm]),
      (folder, given) => buildNode({ node: recipe.node, npm: recipe.npm, arch }, folder, given),
    ],
  ]
  if (Object.keys(recipe.nodes).length + Object.keys(recipe.npmPackages).length > 0) {
    const { nodes, npmPackages } = recipe
    makers.push([
      cacheKey(['npm', 1, arch, nodes, npmPackages]),
      (folder, given) => buildNpmTools({ nodes, npmPackages, arch }, folder, given),
    ])
  }
  if (recipe.filesPaths.length > 0) {
    makers.push([cacheKey(['files', 1, recipe.filesHash]), (folder) => layFiles(recipe.filesPaths, folder)])
  }
  // The one waits for the disk and the others for the network. When one fails, the others are stopped and waited for.
  const other = new AbortController()
  const signal = operation.signal ? AbortSignal.any([operation.signal, other.signal]) : other.signal
  const stopOthers = (error: unknown) => {
    other.abort(error)
    throw error
  }
  const results = await Promise.allSettled(
    makers.map(([key, make]) => layerOf(operation, key, options.noCache, signal, make).catch(stopOthers)),
  )
  const layers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  if (layers.length < results.length) throw other.signal.reason
  await inPhase(operation, 'check tools', undefined, async () => {
    for (const path of recipe.checkPaths) await checkTools(operation, recipe, layers, path)
  })
  return operation.add({
    name: options.name,
    source: `recipe ${recipe.name}`,
    layers,
    // No user: a Dockerfile that is built on it begins as root. Boxes take `agent` because the image has it.
    config: { ...emptyConfig, env: recipe.env, cmd: ['/bin/bash'], labels: recipe.labels },
    recipeHash: recipe.hash,
  })
}
