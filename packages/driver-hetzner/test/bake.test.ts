import { sizePresets } from '@gibil/contract'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCloud, specOf, type TestCloud } from './support/cloud.ts'

let cloud: TestCloud
beforeEach(async () => {
  cloud = await openCloud()
})
afterEach(() => cloud[Symbol.asyncDispose]())

/** As the script of the image does at its end. */
async function switchOff(): Promise<void> {
  const { servers } = cloud.sim.state.project()
  await expect.poll(() => [...servers.values()][0]?.status).toBe('running')
  const [server] = servers.values()
  await fetch(`${cloud.sim.url}/servers/${server?.id}/actions/poweroff`, {
    method: 'POST',
    headers: { authorization: `Bearer ${cloud.sim.token}` },
  })
}

test('a golden snapshot is what boxes begin as; the machine that made it is gone', async () => {
  const driver = await cloud.openDriver()
  const wish = { name: 'workstation', script: 'apt-get install -y golang', size: sizePresets.small }
  await expect(driver.create(specOf({ image: { ...specOf().image, name: 'workstation' } }))).rejects.toMatchObject({
    code: 'image_not_found',
  })
  const [id] = await Promise.all([driver.bake(wish), switchOff()])
  expect(cloud.left()).toEqual([`images ${id}`])
  expect(await driver.bake(wish)).toBe(id)

  const spec = specOf({ image: { ...specOf().image, name: 'workstation' } })
  await driver.create(spec)
  expect([...cloud.sim.state.project().servers.values()][0]?.image).toBe(id)
  await driver.destroy(spec.id)

  const [next] = await Promise.all([driver.bake({ ...wish, script: 'true' }), switchOff()])
  expect(next).not.toBe(id)
  expect(cloud.left()).toEqual([`images ${next}`])
})

test('one whose script does not come to its end leaves nothing', async () => {
  const driver = await cloud.openDriver()
  const wish = { name: 'workstation', script: 'false', size: sizePresets.small }
  await expect(driver.bake(wish)).rejects.toMatchObject({ code: 'image_build_failed' })
  expect(cloud.left()).toEqual([])
})
