import { expect, test } from 'vitest'
import { createFakeCloud } from './fake-cloud.ts'
import { createWorld } from './world.ts'

test('leases of other homes are looked at every ten minutes, and boxes of this home are left to it', async () => {
  const world = createWorld()
  const cloud = createFakeCloud(world.host, world.clock)
  const kept: string[][] = []
  const sweep = async (keep: ReadonlySet<string> = new Set()) => {
    kept.push([...keep])
    return [{ id: 'bxzzzzzzzzzzzz', name: 'left', deadline: 1 }]
  }
  const deps = world.deps()
  await world.restart({
    drivers: [...deps.drivers, { ...cloud.driver(), sweep }],
    policy: { ...deps.policy, reconcileEveryMs: 60_000 },
  })
  const { id } = await world.clock.until(world.plane.create({ provider: 'hetzner', ttl: '2h', wait: 'running' }))
  await world.clock.advance(61_000)
  expect(kept.at(-1)).toEqual([id])
  const before = kept.length
  await world.clock.advance(8 * 60_000)
  expect(kept).toHaveLength(before)
  await world.clock.advance(3 * 60_000)
  expect(kept).toHaveLength(before + 1)
  await world.close()
  expect(world.host.violations).toEqual([])
})
