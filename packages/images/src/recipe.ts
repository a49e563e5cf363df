import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GibilError } from '@gibil/contract'
import * as z from 'zod'
import { parseJson, readIfThere } from './files.ts'

/** `recipe.json`: a Debian file system with Node on top, and how it is checked. */
const RecipeFile = z.strictObject({
  suite: z.string().regex(/^[a-z]+$/),
  packages: z.array(z.string().regex(/^[a-z0-9][a-z0-9.+-]+$/)).min(1),
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

export interface Recipe extends z.infer<typeof RecipeFile> {
  readonly name: string
  readonly setupPath: string
  readonly setupText: string
  readonly checkPath: string
  /** The sha256 of all that a build of it depends on, apart from what the mirrors hold. */
  readonly hash: string
}

/** Grows when the code that builds recipes changes what it makes. */
const builderVersion = 1

/** Reads `<recipesDir>/<name>`. Throws `image_not_found` for an unknown recipe. */
export const readRecipe = async (recipesDir: string, name: string, arch: string): Promise<Recipe> => {
  const folder = join(recipesDir, name)
  const isName = /^[a-z0-9][a-z0-9-]*$/.test(name)
  const text = isName ? await readIfThere(join(folder, 'recipe.json')) : undefined
  if (text === undefined) {
    const names = (await readdir(recipesDir, { withFileTypes: true })).filter((entry) => entry.isDirectory())
    throw new GibilError('image_not_found', `There is no recipe ${JSON.stringify(name.slice(0, 80))}.`, {
      hint: `Recipes: ${names.map((entry) => entry.name).join(', ')}.`,
    })
  }
  const parsed = RecipeFile.safeParse(parseJson(text))
  if (!parsed.success) {
    throw new GibilError('image_build_failed', `images/${name}/recipe.json: ${z.prettifyError(parsed.error)}`)
  }
  const [setupPath, checkPath] = [join(folder, parsed.data.setup), join(folder, parsed.data.check)]
  await stat(checkPath)
  const setupText = await readFile(setupPath, 'utf8')
  const parts = [builderVersion, arch, parsed.data, setupText, await readFile(checkPath, 'utf8')]
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('hex')
  return { ...parsed.data, name, setupPath, setupText, checkPath, hash }
}
