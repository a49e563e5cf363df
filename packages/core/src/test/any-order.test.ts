import { GibilError } from '@gibil/contract'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createWorld, type World } from './world.ts'

const url = 'https://git.example/you/project'
const verbs = [
  ...(['create', 'createRepo', 'destroy', 'pause', 'resume', 'stop', 'start', 'extend', 'connect'] as const),
  ...(['again', 'anew', 'snapshot', 'restore', 'fork', 'removeSnapshot'] as const),
] as const
const mishaps = ['kill', 'silent', 'fail', 'restart', 'wait', 'waitLong', 'sweep'] as const
const action = fc.record({
  what: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...verbs) }, fc.constantFrom(...mishaps)),
  name: fc.constantFrom('a', 'b'),
  /** The next action does not wait for this one. */
  atOnce: fc.boolean(),
  method: fc.constantFrom(
    ...(['create', 'create.late', 'start', 'stop', 'pause', 'resume', 'destroy', 'dial', 'inspect'] as const),
    ...(['snapshot', 'snapshot.late', 'restore', 'restore.late', 'removeSnapshot', 'listSnapshots'] as const),
  ),
})
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never

async function act(world: World, { what, name, method }: Action): Promise<unknown> {
  const { plane, clock } = world
  switch (what) {
    case 'create':
      return plane.create({ name, ttl: '10m', onExpire: 'stop', env: { A: '1' } })
    case 'createRepo':
      return plane.create({ name, idle: '5m', repo: { url }, wait: 'running', env: { A: '1' } })
    case 'destroy':
      return plane.destroy(name)
    case 'pause':
      return plane.pause(name)
    case 'resume':
      return plane.resume(name)
    case 'stop':
      return plane.stopBox(name)
    case 'start':
      return plane.startBox(name)
    case 'again':
      return plane.restart(name)
    case 'anew':
      return plane.restart(name, { fresh: true })
    case 'silent': {
      const box = await plane.get(name)
      return void world.driver.hears(box.id, { forMs: method === 'stop' ? 31_000 : 4000 })
    }
    case 'extend':
      return plane.extend(name, '20m')
    case 'connect':
      return plane.connect(name).then(({ stream }) => stream.destroy())
    case 'snapshot':
      return plane.snapshot(name, { name: `s${name}` })
    case 'restore':
      return plane.restore(name, 'sa')
    case 'fork':
      return plane.fork({ from: name, name: name === 'a' ? 'b' : 'a', ttl: '10m', onExpire: 'stop' })
    case 'removeSnapshot':
      return plane.removeSnapshot(`s${name}`)
    case 'sweep':
      return plane.sweep()
    case 'kill': {
      const box = await plane.get(name)
      if (world.host.boxes.get(box.id)?.status === 'running') world.driver.kill(box.id, 'killed')
      return undefined
    }
    case 'fail':
      return void world.driver.failures.set(method, [new GibilError('driver_failed', 'a mishap')])
    case 'wait':
      return clock.settle()
    case 'waitLong':
      return clock.advance(400_000)
    case 'restart':
      return undefined
  }
}

test('whatever is asked for and goes wrong, in whatever order: the port is kept, and at the end what is kept is what is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 14 }), async (actions) => {
      const world = createWorld()
      world.host.repos.set(url, { '.gibil.yml': 'services: { s: serve }\ntasks: [build]' })
      world.command(/serve/, 'hangs')
      try {
        await world.clock.until(world.plane.start())
        let under: Promise<unknown>[] = []
        for (const step of actions) {
          if (step.what === 'restart') {
            await world.clock.until(world.plane.stop())
            await world.restart()
            continue
          }
          const done = act(world, step).catch((error) => {
            // A wrong wish is an answer, too; anything that is not ours is a fault.
            expect(GibilError.is(error), String(error)).toBe(true)
            expect(error.code, String(error.stack)).not.toBe('internal')
          })
          under.push(done)
          if (step.atOnce) continue
          await world.clock.until(Promise.all(under))
          under = []
        }
        await world.clock.until(Promise.all(under))
        world.driver.failures.clear()
        await world.clock.advance(700_000)

        expect(world.host.violations).toEqual([])
        const records = await world.store.listBoxes()
        expect([...world.host.boxes.keys()].sort()).toEqual(records.map(({ id }) => id).sort())
        for (const { id, status, desired } of records) {
          if (status !== 'failed') expect(status).toBe(desired)
          expect(world.box(id).status).toBe(status === 'failed' ? 'stopped' : status)
        }
        const snapshots = await world.store.listSnapshots()
        expect([...world.host.snapshots.keys()].sort()).toEqual(snapshots.map(({ id }) => id).sort())
        for (const { status, temporary } of snapshots)
          expect({ status, temporary }).toEqual({ status: 'ready', temporary: false })
        for (const { id } of records) await world.clock.until(world.plane.destroy(id))
        for (const { id } of snapshots) await world.clock.until(world.plane.removeSnapshot(id))
        expect(world.host.boxes.size + world.host.snapshots.size).toBe(0)
        expect(world.logs.size).toBe(0)
      } finally {
        await world.close()
      }
    }),
    { numRuns: 120 },
  )
}, 300_000)
