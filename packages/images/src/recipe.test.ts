import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readRecipe } from './recipe.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gibil-recipes-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function write(name: string, recipe: object): Promise<void> {
  await mkdir(join(folder, name, 'files', 'etc'), { recursive: true })
  const added = { packages: ['jq'], setup: 'setup', check: 'check', labels: {}, ...recipe }
  await writeFile(join(folder, name, 'recipe.json'), JSON.stringify(added))
  for (const script of ['setup', 'check', 'files/etc/motd']) await writeFile(join(folder, name, script), name)
}

test('a recipe may be from one that is from another: all of each, in that order', async () => {
  const recipe = await readRecipe(resolve(import.meta.dirname, '../../../images'), 'code-interpreter', 'x64')
  expect(recipe.packages).toEqual(expect.arrayContaining(['bash', 'attr', 'python3-ipykernel']))
  const parents = recipe.setupPaths.map((path) => path.split('/').at(-2))
  expect(parents).toEqual(['base', 'e2b', 'code-interpreter'])
  expect(recipe.filesPaths.map((path) => path.split('/').slice(-2))).toEqual([['code-interpreter', 'files']])
  expect(recipe).toMatchObject({ name: 'code-interpreter', user: 'agent' })
})

test('one that is from itself is refused', async () => {
  await write('one', { from: 'two' })
  await write('two', { from: 'one' })
  await expect(readRecipe(folder, 'one', 'x64')).rejects.toMatchObject({ code: 'image_build_failed' })
})

test('its hash tells of its files, and of who may run them', async () => {
  await write('own', { from: 'whole', files: 'files' })
  const whole = { suite: 'bookworm', packages: ['bash'], node: '24.0.0', npm: '11.0.0', user: 'agent', env: {} }
  await mkdir(join(folder, 'whole'))
  await writeFile(join(folder, 'whole', 'recipe.json'), JSON.stringify({ ...whole, setup: 'setup', check: 'setup' }))
  await writeFile(join(folder, 'whole', 'setup'), '')
  const hash = async (): Promise<string> => (await readRecipe(folder, 'own', 'x64')).hash
  const hashes = [await hash()]
  await writeFile(join(folder, 'own', 'files', 'etc', 'motd'), 'other')
  hashes.push(await hash())
  await chmod(join(folder, 'own', 'files', 'etc', 'motd'), 0o755)
  hashes.push(await hash())
  expect(new Set(hashes).size).toBe(3)
})
