import { sizePresets } from '@gibil/contract'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCloud, specOf, type TestCloud } from './support/cloud.ts'

let cloud: TestCloud
beforeEach(async () => {
  cloud = await openCloud()
})
afterEach(() => cloud[Symbol.asyncDispose]())

const wish = { name: 'vm', cloudInit: '#!/bin/sh\napt-get install -y golang\n', size: sizePresets.small }
const spec = () => specOf({ image: { ...specOf().image, name: 'vm' } })
const imageOfServer = (): unknown => [...cloud.sim.state.project().servers.values()][0]?.image

test('a golden snapshot is what boxes begin as; the machine that made it is gone, and what it says is heard', async () => {
  const driver = await cloud.openDriver()
  const lines: string[] = []
  const image = await driver.bake(wish, { onLine: (line) => lines.push(line) })
  expect(image).toMatchObject({ name: 'vm', arch: 'x86', currency: 'EUR', monthly: expect.stringMatching(/^0\.\d+$/) })
  expect(lines).toEqual([
    expect.stringMatching(/^cx23 in fsn1, 0\.0096 EUR an hour/),
    'installing docker.io',
    expect.stringContaining('saving it'),
  ])
  expect(cloud.commands.at(-1)).toMatch(/truncate -s 0 \/etc\/machine-id/)
  expect(cloud.left()).toEqual([`images ${image.id}`])
  expect(await driver.baked()).toEqual([image])
  // The same text is not baked again, from whichever machine.
  expect(await (await cloud.openDriver()).bake(wish)).toEqual(image)

  const box = spec()
  await driver.create(box)
  expect(String(imageOfServer())).toBe(image.id)
  await driver.destroy(box.id)
})

test('another text replaces it, made of the system of the cloud again; removed, boxes begin as that', async () => {
  const driver = await cloud.openDriver()
  const first = await driver.bake(wish)
  const servers: unknown[] = []
  const next = await driver.bake(
    { ...wish, cloudInit: '#!/bin/sh\ntrue\n' },
    { onLine: () => servers.push(imageOfServer()) },
  )
  expect(next.id).not.toBe(first.id)
  expect(servers).not.toContain(Number(first.id))
  expect(cloud.left()).toEqual([`images ${next.id}`])
  await driver.removeBaked('vm')
  expect(cloud.left()).toEqual([])
  await expect(driver.removeBaked('vm')).rejects.toMatchObject({ code: 'image_not_found' })
  const box = spec()
  await driver.create(box)
  expect(String(imageOfServer())).not.toBe(next.id)
})

test('one whose set-up fails, or that is given up, leaves what was there before', async () => {
  const driver = await cloud.openDriver()
  const { id } = await driver.bake(wish)
  cloud.cloudInit = { lines: ['E: no such package'], status: 1 }
  const other = { ...wish, cloudInit: '#!/bin/sh\nfalse\n' }
  await expect(driver.bake(other)).rejects.toMatchObject({
    code: 'driver_failed',
    details: { log: expect.stringContaining('no such package') },
  })
  const cancel = new AbortController()
  const given = { signal: cancel.signal, onLine: () => cancel.abort() }
  await expect(driver.bake(other, given)).rejects.toMatchObject({ code: 'cancelled' })
  expect(cloud.left()).toEqual([`images ${id}`])
})

test('a machine that is only there for that is no box to be adopted, and is swept when its time is over', async () => {
  const driver = await cloud.openDriver({
    step: (name) => {
      if (name !== 'create.actions') return
      cloud.sim.faults.add({ kind: 'lost_request' })
      throw new Error('the process ends here')
    },
    patienceMs: 0,
  })
  await expect(driver.bake(wish)).rejects.toThrow()
  cloud.sim.faults.clear()
  const [server] = cloud.sim.state.project().servers.values()
  expect(server?.name).toMatch(/^gibil-bake-/)
  const other = await cloud.openDriver()
  expect(await other.found()).toEqual([])
  expect(await other.list()).toEqual([])
  Object.assign(server?.labels ?? {}, { 'gibil/deadline': '1000' })
  expect(await other.sweep()).toHaveLength(1)
  expect(cloud.left()).toEqual([])
})
