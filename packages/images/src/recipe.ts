import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
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

/** A `recipe.json` that adds to a whole recipe. Its scripts run after those of the other. */
const AddedRecipe = z.strictObject({
  from: z.string(),
  packages: Packages,
  setup: z.string(),
  check: z.string(),
  labels: z.record(z.string(), z.string()),
})

export interface Recipe extends Omit<z.infer<typeof WholeRecipe>, 'setup' | 'check'> {
  readonly name: string
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

/** Reads `<recipesDir>/<name>`. Throws `image_not_found` for an unknown recipe. */
export const readRecipe = async (recipesDir: string, name: string, arch: string): Promise<Recipe> => {
  const parsed = await parseRecipe(recipesDir, name, z.union([AddedRecipe, WholeRecipe]))
  if (!('from' in parsed)) return assemble(recipesDir, name, arch, parsed, undefined)
  return assemble(recipesDir, name, arch, await parseRecipe(recipesDir, parsed.from, WholeRecipe), parsed)
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
  whole: z.infer<typeof WholeRecipe>,
  added: z.infer<typeof AddedRecipe> | undefined,
): Promise<Recipe> => {
  const parts = added
    ? [
        { folder: added.from, ...whole },
        { folder: name, ...added },
      ]
    : [{ folder: name, ...whole }]
  const setupPaths = parts.map(({ folder, setup }) => join(recipesDir, folder, setup))
  const checkPaths = parts.map(({ folder, check }) => join(recipesDir, folder, check))
  const textOf = async (paths: readonly string[]): Promise<string> =>
    (await Promise.all(paths.map((path) => readFile(path, 'utf8')))).join('\n')
  const [setupText, checkText] = [await textOf(setupPaths), await textOf(checkPaths)]
  const facts = [builderVersion, arch, whole, setupText, checkText, ...(added ? [added] : [])]
  const hash = createHash('sha256').update(JSON.stringify(facts)).digest('hex')
  const packages = parts.flatMap((part) => part.packages)
  return { ...whole, name, packages, labels: added?.labels ?? {}, setupPaths, setupText, checkPaths, hash }
}
