import { execFileSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import { maxCloudInitBytes } from '@gibil/contract'
import { expect, test } from 'vitest'
import { cloudScript } from './cloud-script.ts'
import { readRecipe } from './recipe.ts'

const recipesDir = resolve(import.meta.dirname, '../../../images')

test.each(['base', 'docker', 'vm', 'workstation'])(
  'of %s is a script that sh can read, with its packages and Node',
  async (name) => {
    const recipe = await readRecipe(recipesDir, name, 'x64')
    const script = await cloudScript(recipe)
    execFileSync('sh', ['-n'], { input: script })
    const { packages, backports, node, npm, nodes, npmPackages, filesPaths } = recipe
    const pinned = Object.entries(npmPackages).map(([one, version]) => `${one}@${version}`)
    const wanted = [...packages, ...backports, node, npm, ...Object.values(nodes), ...pinned]
    for (const each of wanted) expect(script).toContain(` ${each}`)
    expect(script.length).toBeLessThan(maxCloudInitBytes)
    const packed = /base64 -d <<'END' .*\n([\s\S]*)\nEND/.exec(script)?.[1]
    if (filesPaths.length === 0) return expect(packed).toBeUndefined()
    const names = execFileSync('tar', ['-tz'], { input: Buffer.from(packed ?? '', 'base64'), encoding: 'utf8' })
    expect(names).toContain('./usr/local/bin/check-tools\n')
  },
)

test('of no recipe is none', async () => {
  await expect(readRecipe(join(recipesDir), 'nothing', 'x64')).rejects.toMatchObject({ code: 'image_not_found' })
})
