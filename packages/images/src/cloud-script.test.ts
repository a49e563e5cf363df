import { execFileSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { cloudScript } from './cloud-script.ts'
import { readRecipe } from './recipe.ts'

const recipesDir = resolve(import.meta.dirname, '../../../images')

test.each(['base', 'docker', 'vm'])('of %s is a script that sh can read, with its packages and Node', async (name) => {
  const recipe = await readRecipe(recipesDir, name, 'x64')
  const script = cloudScript(recipe)
  execFileSync('sh', ['-n'], { input: script })
  for (const wanted of [...recipe.packages, recipe.node, recipe.npm]) expect(script).toContain(` ${wanted}`)
})

test('of no recipe is none', async () => {
  await expect(readRecipe(join(recipesDir), 'nothing', 'x64')).rejects.toMatchObject({ code: 'image_not_found' })
})
