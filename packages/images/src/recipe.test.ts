import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
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

const recipesDir = resolve(import.meta.dirname, '../../../images')

describe('the recipe of the workstation', () => {
  test('adds to that of a vm, which adds to base', async () => {
    const [base, vm, own] = await Promise.all(
      ['base', 'vm', 'workstation'].map((one) => readRecipe(recipesDir, one, 'x64')),
    )
    expect(own?.packages).toEqual(expect.arrayContaining([...(base?.packages ?? []), ...(vm?.packages ?? [])]))
    expect(own?.setupPaths).toEqual([...(vm?.setupPaths ?? []), join(recipesDir, 'workstation/setup')])
    expect(own).toMatchObject({ suite: 'bookworm', labels: { 'gibil.shape': 'vm' }, user: 'agent' })
    expect(new Set([base?.hash, vm?.hash, own?.hash]).size).toBe(3)
  })

  // What apt does not know fails a build of eight minutes at its beginning; here it fails at once, where apt has the lists of that suite.
  const policy = execFileSync('apt-cache', ['policy'], { encoding: 'utf8' })
  test.runIf(/n=bookworm,/.test(policy))('names packages that Debian has', async () => {
    const { packages } = await readRecipe(recipesDir, 'workstation', 'x64')
    const known = execFileSync('apt-cache', ['madison', ...packages], { encoding: 'utf8' })
    const names = new Set(known.split('\n').map((line) => line.split('|')[0]?.trim()))
    expect(packages.filter((one) => !names.has(one))).toEqual([])
  })
})
