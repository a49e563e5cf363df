import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFakeDriver } from './fake-driver.ts'
import { startWorld, type World } from './world.ts'

const code = (name: string): unknown => expect.objectContaining({ code: name })

let world: World
beforeEach(async () => {
  world = await startWorld()
  await until(world.plane.create({ name: 'w' }))
  await until(world.plane.snapshot('w', { name: 's' }))
})
afterEach(async () => {
  try {
    expect(world.host.violations).toEqual([])
  } finally {
    await world.close()
  }
})
const until = <T>(work: Promise<T>): Promise<T> => world.clock.until(work)

test('a box reads a snapshot until it is unmounted, by path or by name', async () => {
  const [{ id = '' } = {}] = await world.plane.snapshots()
  const first = { path: '/snapshots/s', snapshotId: id, snapshot: 's' }
  const second = { ...first, path: '/old/s' }
  expect(await until(world.plane.mount('w', { snapshot: 's' }))).toEqual(first)
  expect(await until(world.plane.mount('w', { snapshot: id, path: '//old/./s/' }))).toEqual(second)
  expect(await until(world.plane.mounts('w'))).toEqual([first, second])
  await expect(until(world.plane.unmount('w', 's'))).rejects.toEqual(code('invalid_request'))
  expect(await until(world.plane.unmount('w', '/old/s'))).toEqual(second)
  expect(await until(world.plane.unmount('w', 's'))).toEqual(first)
  await expect(until(world.plane.unmount('w', 's'))).rejects.toEqual(code('file_not_found'))
})

test('a snapshot may be removed while it is mounted; a stop takes what is mounted away', async () => {
  const { snapshotId } = await until(world.plane.mount('w', { snapshot: 's' }))
  await until(world.plane.removeSnapshot('s'))
  expect(await until(world.plane.mounts('w'))).toEqual([{ path: '/snapshots/s', snapshotId, snapshot: null }])
  await until(world.plane.stopBox('w'))
  expect(await until(world.plane.mounts('w'))).toEqual([])
  await expect(until(world.plane.unmount('w', snapshotId))).rejects.toEqual(code('wrong_state'))
})

test('what cannot be is refused before the driver is asked', async () => {
  for (const path of ['relative', '/', '/a/../b', '/a\0b', `/${'x'.repeat(4096)}`, '/a\nb', '']) {
    await expect(until(world.plane.mount('w', { snapshot: 's', path }))).rejects.toEqual(code('invalid_path'))
  }
  await expect(until(world.plane.mount('w', { snapshot: 'none' }))).rejects.toEqual(code('snapshot_not_found'))
  await until(world.plane.pause('w'))
  await expect(until(world.plane.mount('w', { snapshot: 's' }))).rejects.toEqual(code('wrong_state'))
  await until(world.plane.stopBox('w'))
  await expect(until(world.plane.mount('w', { snapshot: 's' }))).rejects.toEqual(code('wrong_state'))
})

test('one owner cannot mount what another has saved', async () => {
  await world.plane.tokens.create({ name: 'other' })
  const plane = world.plane.as('other')
  await until(plane.create({ name: 'w' }))
  const [{ id = '' } = {}] = await world.plane.snapshots()
  for (const snapshot of ['s', id]) {
    await expect(until(plane.mount('w', { snapshot }))).rejects.toEqual(code('snapshot_not_found'))
    await expect(until(world.plane.mount('w@other', { snapshot }))).rejects.toEqual(code('snapshot_not_found'))
  }
})

test('a shape that cannot says what to do instead', async () => {
  await until(world.plane.stop())
  const { mountSnapshot: _, ...driver } = createFakeDriver(world.host)
  await world.restart({ drivers: [driver] })
  await expect(until(world.plane.mount('w', { snapshot: 's' }))).rejects.toEqual(code('unsupported_by_shape'))
})
