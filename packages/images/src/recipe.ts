import { createHash } from 'node:crypto'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { GibilError } from '@gibil/contract'
import * as z from 'zod'
import { parseJson, readIfThere } from './files.ts'

const Packages = z.array(z.string().regex(/^[a-z0-9][a-z0-9.+-]+$/)).min(1)

/** `recipe.json`: a Debian file system with Node on top, and how it is checked. */
const WholeRecipe = z.strictObject({
  suite: z.string().regex(/^[a-z]+$/),
  packages: Packages,
  /** Exact versions on npm. */
  node: z.string().regex(/^\d+\.\d+\.\d+$/),
  npm: z.string().regex(/^\d+\.\d+\.\d+$/),
  /** A script run as root in the new file system. */
  setup: z.string(),
  /** A script run as the user in the finished image, without network. */
  check: z.string(),
  /** The user with id 1000 that the set-up script makes. */
  user: z.string(),
  env: z.record(z.string(), z.string()),
})

const Versions = z.record(z.string(), z.string().regex(/^\d+\.\d+\.\d+$/))

/** A `recipe.json` that adds to another recipe. Its scripts run after those of the other. */
const AddedRecipe = z.strictObject({
  from: z.string(),
  packages: Packages,
  /** Packages of the suite's backports, where the suite itself has none or too old ones. */
  backports: Packages.optional(),
  /** Other versions of Node on npm, for `/opt/node<key>`. */
  nodes: Versions.optional(),
  /** Packages of npm at exact versions, installed for all. */
  npmPackages: Versions.optional(),
  setup: z.string(),
  /** A folder that is laid over the file system, as root's. */
  files: z.string().optional(),
  check: z.string(),
  labels: z.record(z.string(), z.string()),
})

export interface Recipe extends Omit<z.infer<typeof WholeRecipe>, 'setup' | 'check'> {
  readonly name: string
  readonly backports: readonly string[]
  readonly nodes: Readonly<Record<string, string>>
  readonly npmPackages: Readonly<Record<string, string>>
  /** Laid over the file system in this order. */
  readonly filesPaths: readonly string[]
  /** The sha256 of what is in them. */
  readonly filesHash: string
  readonly labels: Readonly<Record<string, string>>
  /** In the order of running. */
  readonly setupPaths: readonly string[]
  readonly setupText: string
  readonly checkPaths: readonly string[]
  /** The sha256 of all that a build of it depends on, apart from what the mirrors hold. */
  readonly hash: string
}

/** Grows when the code that builds recipes changes what it makes. */
const builderVersion = 1

/** Reads `<recipesDir>/<name>`, and those that it adds to. Throws `image_not_found` for an unknown recipe. */
export const readRecipe = async (recipesDir: string, name: string, arch: string): Promise<Recipe> => {
  const added: (z.infer<typeof AddedRecipe> & { folder: string })[] = []
  for (let folder = name; ; ) {
    const parsed = await parseRecipe(recipesDir, folder, z.union([AddedRecipe, WholeRecipe]))
    if (!('from' in parsed)) return assemble(recipesDir, name, arch, { folder, ...parsed }, added)
    if (added.some((one) => one.folder === parsed.from)) {
      throw new GibilError(
        'image_build_failed',
        `images/${folder}/recipe.json adds to ${parsed.from}, which adds to it.`,
      )
    }
    added.unshift({ folder, ...parsed })
    folder = parsed.from
  }
}

const parseRecipe = async <T>(recipesDir: string, name: string, schema: z.ZodType<T>): Promise<T> => {
  const isName = /^[a-z0-9][a-z0-9-]*$/.test(name)
  const text = isName ? await readIfThere(join(recipesDir, name, 'recipe.json')) : undefined
  if (text === undefined) {
    const names = (await readdir(recipesDir, { withFileTypes: true })).filter((entry) => entry.isDirectory())
    throw new GibilError('image_not_found', `There is no recipe ${JSON.stringify(name.slice(0, 80))}.`, {
      hint: `Recipes: ${names.map((entry) => entry.name).join(', ')}.`,
    })
  }
  const parsed = schema.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  throw new GibilError('image_build_failed', `images/${name}/recipe.json: ${z.prettifyError(parsed.error)}`)
}

const assemble = async (
  recipesDir: string,
  name: string,
  arch: string,
  whole: z.infer<typeof WholeRecipe> & { folder: string },
  added: readonly (z.infer<typeof AddedRecipe> & { folder: string })[],
): Promise<Recipe> => {
  const parts = [whole, ...added]
  const setupPaths = parts.map(({ folder, setup }) => join(recipesDir, folder, setup))
  const checkPaths = parts.map(({ folder, check }) => join(recipesDir, folder, check))
  const filesPaths = added.flatMap(({ folder, files }) =>
    files === undefined ? [] : [join(recipesDir, folder, files)],
  )
  const textOf = async (paths: readonly string[]): Promise<string> =>
    (await Promise.all(paths.map((path) => readFile(path, 'utf8')))).join('\n')
  const [setupText, checkText] = [await textOf(setupPaths), await textOf(checkPaths)]
  const filesHash = await hashOfTrees(filesPaths)
  const facts = [builderVersion, arch, parts, setupText, checkText, filesHash]
  return {
    ...whole,
    name,
    packages: parts.flatMap((part) => part.packages),
    backports: added.flatMap(({ backports = [] }) => backports),
    nodes: Object.assign({}, ...added.map(({ nodes }) => nodes)),
    npmPackages: Object.assign({}, ...added.map(({ npmPackages }) => npmPackages)),
    labels: Object.assign({}, ...added.map(({ labels }) => labels)),
    setupPaths,
    setupText,
    filesPaths,
    filesHash,
    checkPaths,
    hash: createHash('sha256').update(JSON.stringify(facts)).digest('hex'),
  }
}

/** Names, kinds, modes and contents of all that is below some folders. */
const hashOfTrees = async (paths: readonly string[]): Promise<string> => {
  const hash = createHash('sha256')
  for (const path of paths) {
    const entries = await readdir(path, { recursive: true, withFileTypes: true })
    for (const entry of entries.sort((a, b) => (join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1))) {
      const full = join(entry.parentPath, entry.name)
      const content = entry.isSymbolicLink() ? await readlink(full) : entry.isFile() ? await readFile(full) : ''
      const mode = entry.isFile() ? ((await stat(full)).mode & 0o100) !== 0 : null
      hash.update(JSON.stringify([relative(path, full), entry.isSymbolicLink(), mode, content.length])).update(content)
    }
  }
  return hash.digest('hex')
}
