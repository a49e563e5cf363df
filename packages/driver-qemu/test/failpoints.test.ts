import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { full } from '../../../test/support/full-form.ts'
import { leftovers } from '../../driver-container/test/rig.ts'
import { microvmNames } from '../src/names.ts'
import { steps } from '../src/steps.ts'
import { openWorld, type World } from './world.ts'

const bootMs = 240_000

describe('a create that fails', { timeout: bootMs }, () => {
  let world: World
  let failAt = ''
  beforeAll(async () => {
    world = await openWorld({
      step: (name) => {
        if (name === failAt) throw new Error(`fails at ${name}`)
      },
    })
  }, bootMs)
  afterAll(async () => {
    expect(await world.end()).toEqual([])
  }, bootMs)

  it.each(steps.create)('leaves nothing at %s', async (name) => {
    failAt = name
    await expect(world.driver.create(world.spec('broken'))).rejects.toMatchObject({ code: 'driver_failed' })
    failAt = ''
    expect(await world.driver.list()).toEqual([])
    expect(await leftovers(join(world.home, 'microvm'))).toEqual([])
  })

  it('refuses what could not boot, before anything is made', async () => {
    const tiny = world.spec('tiny', { size: { cpu: 1, memoryMib: 64, diskMib: 512 } })
    await expect(world.driver.create(tiny)).rejects.toMatchObject({ code: 'invalid_size' })
    const flat = world.spec('flat', { size: { cpu: 1, memoryMib: 256, diskMib: 64 } })
    await expect(world.driver.create(flat)).rejects.toMatchObject({ code: 'invalid_size' })
    expect(await world.driver.list()).toEqual([])
  })

  it('is finished by another try, and a destroy that was cut off by another one', async () => {
    await world.driver.create(world.spec('again'))
    expect(await world.driver.create(world.spec('again'))).toMatchObject({ status: 'running' })
    for (const name of steps.destroy) {
      failAt = name
      await expect(world.driver.destroy('again')).rejects.toThrow()
    }
    failAt = ''
    await world.driver.destroy('again')
    await world.driver.destroy('again')
    expect(await leftovers(join(world.home, 'microvm'))).toEqual([])
  })
})

it.each(full ? ['state', 'memory'] : ['memory'])(
  'freezes another machine where the %s of the one is damaged',
  { timeout: 2 * bootMs },
  async (name) => {
    let world = await openWorld()
    try {
      await world.driver.create(world.spec('first', { network: 'none' }))
      const frozen = join(microvmNames(world.home).cacheDir, 'frozen')
      const [key = ''] = await readdir(frozen)
      const file = await open(join(frozen, key, name), 'r+')
      await file.write(Buffer.from('damaged'), 0, 7, 8192)
      await file.close()
      // Memory is read whole once for each daemon.
      world = await world.reopen()
      await world.driver.create(world.spec('second', { network: 'none' }))
      expect(world.logged.filter((line) => line.includes('is damaged'))).toHaveLength(1)
      expect(world.logged.filter((line) => line.includes('froze a machine'))).toHaveLength(1)
      expect((await world.run('second', 'hostname')).trim()).toBe('second')
      // The disk of the first stands on the one that is damaged.
      await world.driver.stop('first', 5000)
      await world.driver.start(world.spec('first', { network: 'none' }))
      expect((await world.run('first', 'hostname')).trim()).toBe('first')
      await world.driver.create(world.spec('third', { network: 'none' }))
      expect(world.logged.filter((line) => line.includes('froze a machine'))).toHaveLength(1)
    } finally {
      expect(await world.end()).toEqual([])
    }
  },
)
