import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { BoxFile } from './box-file.ts'
import { evict } from './evict.ts'
import { boxPaths, microvmNames } from './names.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'gibil-evict-'))
})
afterEach(() => rm(home, { recursive: true }))

it('keeps what is used and the last of what is not', async () => {
  const names = microvmNames(home)
  const image = (name: string): string => join(names.cacheDir, 'images', name)
  const frozen = (name: string): string => join(names.cacheDir, 'frozen', name)
  const freeze = async (name: string, base: string, age: number): Promise<void> => {
    await mkdir(frozen(name), { recursive: true })
    await writeFile(join(frozen(name), 'done'), image(base))
    await touch(join(frozen(name), 'done'), age)
  }
  await mkdir(image('.'), { recursive: true })
  const bases = ['used', 'new', 'old-1', 'old-2', 'old-3', 'old-4', 'old-5', 'old-6']
  for (const [age, base] of bases.entries()) {
    await writeFile(image(base), '')
    await touch(image(base), age)
  }
  await freeze('of-a-box', 'used', 1000)
  await freeze('just-made', 'new', 1000)
  for (let age = 1; age <= 6; age += 1) await freeze(`unused-${age}`, 'used', age)
  await mkdir(frozen('being-made'))
  const paths = boxPaths(names, 'one')
  const box: BoxFile = {
    version: 1,
    phase: 'made',
    slot: 0,
    standsOn: [frozen('of-a-box'), image('used')],
    disk: 'root.qcow2',
    spec: {
      id: 'one',
      hostname: 'one',
      image: { name: 'i', digest: 'sha256:0', layers: ['/l'], env: {}, workdir: null, user: null },
      size: { cpu: 1, memoryMib: 256, diskMib: 512 },
      network: 'none',
      isolation: 'namespaces',
      labels: {},
    },
  }
  await mkdir(dirname(paths.boxFile), { recursive: true })
  await writeFile(paths.boxFile, JSON.stringify(box))

  await evict({ names, log: () => undefined }, [frozen('just-made'), image('new')])
  expect((await readdir(frozen('.'))).sort()).toEqual([
    'being-made',
    'just-made',
    'of-a-box',
    'unused-1',
    'unused-2',
    'unused-3',
    'unused-4',
  ])
  expect((await readdir(image('.'))).sort()).toEqual(['new', 'old-1', 'old-2', 'old-3', 'old-4', 'used'])

  await writeFile(paths.boxFile, 'damaged')
  await freeze('unused-7', 'used', 7)
  await evict({ names, log: () => undefined }, [])
  expect(await readdir(frozen('.'))).toContain('unused-7')
})

/** `age`: how long ago it was used last, in hours. */
async function touch(path: string, age: number): Promise<void> {
  const at = new Date(Date.now() - age * 3_600_000)
  await utimes(path, at, at)
}
