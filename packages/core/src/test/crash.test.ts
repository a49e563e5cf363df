import { describe, expect, test } from 'vitest'
import { type ControlPlane, createControlPlane } from '../index.ts'
import { createCrash } from './crash.ts'
import { createFakeDriver } from './fake-driver.ts'
import { createWorld, type World } from './world.ts'

const url = 'https://git.example/you/project'
const config = 'services: { s: serve }\ntasks: [build]\nhooks: { onStart: each }'

/** What must hold of any world once a new daemon has settled. */
async function check(world: World, where: string): Promise<void> {
  const records = await world.store.listBoxes()
  const ids = records.map(({ id }) => id).sort()
  expect([...world.host.boxes.keys()].sort(), `${where}: what is on the host is what is kept`).toEqual(ids)
  expect(
    [...world.logs.keys()].filter((id) => !ids.includes(id)),
    `${where}: no log without its box`,
  ).toEqual([])
  const snapshots = await world.store.listSnapshots()
  expect([...world.host.snapshots.keys()].sort(), `${where}: snapshots are those that are kept`).toEqual(
    snapshots.map(({ id }) => id).sort(),
  )
  for (const { status, temporary } of snapshots) {
    expect({ status, temporary }, `${where}: a snapshot is whole or was never there`).toEqual({
      status: 'ready',
      temporary: false,
    })
  }
  for (const { status, desired, id, readiness, remake, from, restoring } of records) {
    expect({ from, restoring }, `${where}: a box has become what it was to be`).toEqual({ from: null, restoring: null })
    expect(['running', 'stopped', 'paused'], `${where}: nothing is left halfway`).toContain(status)
    expect(desired, where).toBe(status)
    expect(remake, where).toBeNull()
    expect(world.box(id).status, `${where}: what is kept is what is`).toBe(status)
    if (status === 'running') {
      expect(['ready', 'failed'], `${where}: set-up ends`).toContain(readiness)
      expect(world.box(id).configured.env, `${where}: boxd has its defaults`).toMatchObject({ A: '1' })
      const { stream } = await world.plane.connect(id)
      stream.destroy()
    }
    const services = [...world.box(id).jobs.values()].filter(
      ({ job }) => job.label === 'service s' && job.exit === null,
    )
    expect(services.length, `${where}: no service runs twice`).toBeLessThanOrEqual(1)
  }
}

interface Story {
  /** The whole host dies with its daemon. */
  readonly reboot?: boolean
  readonly config?: string
  readonly prepare?: (plane: ControlPlane) => Promise<unknown>
  readonly act: (plane: ControlPlane) => Promise<unknown>
  readonly after?: (world: World, where: string) => Promise<void>
}

/** Tells a story again and again, with a daemon that dies one place later each time, until it comes to the end alive. */
async function dieEverywhere({ config: yml = config, reboot = false, prepare, act, after }: Story): Promise<number> {
  for (let at = 1; ; at += 1) {
    const world = createWorld({ startAttempts: 5 })
    world.host.repos.set(url, { '.gibil.yml': yml })
    world.command(/serve/, 'hangs')
    try {
      await world.clock.until(world.plane.start())
      if (prepare) await world.clock.until(prepare(world.plane))
      await world.clock.until(world.plane.stop())

      world.driver = createFakeDriver(world.host)
      const crash = createCrash(world.deps(), at)
      const plane = createControlPlane(crash.deps)
      let over = false
      const story = (async () => {
        await plane.start()
        await act(plane)
      })().finally(() => {
        over = true
      })
      story.catch(() => undefined)
      for (let count = 0; count < 50 && !over && !crash.dead(); count += 1) await world.clock.advance(200)
      await world.clock.settle()
      crash.disarm()
      const where = crash.dead() ? `died at place ${at}, ${crash.where()}` : 'lived'
      if (!crash.dead()) await world.clock.until(plane.stop())

      for (const box of reboot ? world.host.boxes.values() : []) {
        world.host.endJobs(box)
        if (box.status !== 'partial') box.status = 'stopped'
        box.configured = {}
      }

      await world.restart()
      await world.clock.advance(60_000)
      await check(world, where)
      await after?.(world, where)
      for (const { id } of await world.plane.list()) await world.clock.until(world.plane.destroy(id))
      for (const { id } of await world.plane.snapshots()) await world.clock.until(world.plane.removeSnapshot(id))
      expect(world.host.boxes.size + world.host.snapshots.size, `${where}: all can be removed`).toBe(0)
      expect(world.host.violations, where).toEqual([])
      if (!crash.dead()) return at - 1
    } finally {
      await world.close()
    }
  }
}

const plain = { name: 'w', env: { A: '1' } }
const withRepo = { ...plain, repo: { url } }

describe('a daemon that dies at any place', () => {
  test('of a create: the box is finished by the next one, or was never there', async () => {
    const places = await dieEverywhere({
      act: (plane) => plane.create(plain),
      async after(world, where) {
        // Once it is written down, it is made.
        const boxes = await world.plane.list()
        expect(boxes.length, where).toBeLessThanOrEqual(1)
        if (boxes[0]) expect(boxes[0], where).toMatchObject({ status: 'running', readiness: 'ready' })
      },
    })
    expect(places).toBeGreaterThan(20)
  }, 120_000)

  test('of a create with a repository, services, tasks and hooks', async () => {
    const places = await dieEverywhere({
      act: (plane) => plane.create(withRepo),
      async after(world, where) {
        const [box] = await world.plane.list()
        const builds = world.host.ran.filter(({ line }) => line === 'bash -c build').length
        expect(builds, `${where}: a task is not run twice`).toBeLessThanOrEqual(1)
        if (box?.readiness === 'failed') expect(box.failure?.code, where).toBe('interrupted')
      },
    })
    expect(places).toBeGreaterThan(60)
  }, 240_000)

  test('of a create with all that, and the host with it', async () => {
    await dieEverywhere({
      reboot: true,
      act: (plane) => plane.create(withRepo),
      async after(world, where) {
        const builds = world.host.ran.filter(({ line }) => line === 'bash -c build').length
        expect(builds, `${where}: a task is not run twice`).toBeLessThanOrEqual(1)
        for (const { readiness, failure } of await world.plane.list()) {
          if (readiness === 'failed') expect(failure?.code, where).toBe('interrupted')
        }
      },
    })
  }, 240_000)

  test('of a create that has to be made anew in another way', async () => {
    await dieEverywhere({
      config: `image: other\n${config}`,
      act: (plane) => plane.create(withRepo),
      async after(world, where) {
        for (const { image } of await world.plane.list()) expect(image, where).toBe('other')
      },
    })
  }, 240_000)

  test('of a clone with a token: the token is gone, so the box goes', async () => {
    await dieEverywhere({
      act: (plane) => plane.create({ ...withRepo, repo: { url, token: 'ghp_secret' } }),
      async after(world, where) {
        expect(JSON.stringify(await world.store.listBoxes()), where).not.toContain('ghp_secret')
      },
    })
  }, 240_000)

  test('of a destroy: nothing is left', async () => {
    const places = await dieEverywhere({
      prepare: (plane) => plane.create(plain),
      act: (plane) => plane.destroy('w'),
      async after(world, where) {
        const left = await world.plane.list()
        // It died before it was written down that the box goes: then nothing has happened to it.
        if (left[0]) expect(left[0], where).toMatchObject({ status: 'running', readiness: 'ready' })
      },
    })
    expect(places).toBeGreaterThan(10)
  }, 120_000)

  test('of stop and start, with services', async () => {
    await dieEverywhere({
      prepare: (plane) => plane.create(withRepo),
      act: async (plane) => {
        await plane.stopBox('w')
        await plane.startBox('w')
        await plane.wait('w', 'ready')
      },
    })
  }, 240_000)

  test('of pause and resume', async () => {
    await dieEverywhere({
      prepare: (plane) => plane.create(plain),
      act: async (plane) => {
        await plane.pause('w')
        await plane.resume('w')
      },
    })
  }, 120_000)
})

describe('a daemon that dies at any place of what is done with snapshots', () => {
  const prepare = async (plane: ControlPlane) => {
    const { id } = await plane.create(withRepo)
    await plane.snapshot(id, { name: 'before' })
  }

  test('of a snapshot: it is whole and known, or was never there', async () => {
    const places = await dieEverywhere({
      prepare: (plane) => plane.create(plain),
      act: (plane) => plane.snapshot('w', { name: 's' }),
      async after(world, where) {
        const found = await world.plane.snapshots()
        expect(found.length, where).toBeLessThanOrEqual(1)
        if (found[0]) expect((await world.plane.get('w')).parent, where).toBe(found[0].id)
        for (const { name } of found) await world.clock.until(world.plane.removeSnapshot(name))
        expect(world.host.snapshots.size, where).toBe(0)
        expect((await world.plane.get('w')).parent, where).toBeNull()
      },
    })
    expect(places).toBeGreaterThan(15)
  }, 240_000)

  test('of a restore: the box is what the snapshot holds, or what it was', async () => {
    const places = await dieEverywhere({
      prepare,
      act: async (plane) => {
        await plane.restore('w', 'before')
        await plane.wait('w', 'ready')
      },
      async after(world, where) {
        const builds = world.host.ran.filter(({ line }) => line === 'bash -c build').length
        expect(builds, `${where}: set-up is not run again`).toBe(1)
      },
    })
    expect(places).toBeGreaterThan(20)
  }, 240_000)

  test('of forks of a box: they are whole, and of the snapshot that was taken for them nothing is left', async () => {
    const places = await dieEverywhere({
      prepare,
      act: (plane) => plane.fork({ from: 'w', name: 'f', count: 2 }),
      async after(world, where) {
        const builds = world.host.ran.filter(({ line }) => line === 'bash -c build').length
        expect(builds, `${where}: set-up is not run again`).toBe(1)
        for (const { readiness } of await world.plane.list()) expect(readiness, where).toBe('ready')
        expect(await world.plane.snapshots(), where).toHaveLength(1)
      },
    })
    expect(places).toBeGreaterThan(60)
  }, 480_000)

  test('of the removal of a snapshot that others came of', async () => {
    await dieEverywhere({
      prepare: async (plane) => {
        await prepare(plane)
        await plane.snapshot('w', { name: 'later' })
        await plane.fork({ from: 'before', name: 'f' })
      },
      act: (plane) => plane.removeSnapshot('before'),
      async after(world, where) {
        const known = new Set((await world.plane.snapshots()).map(({ id }) => id))
        const parents = [...(await world.plane.snapshots()), ...(await world.plane.list())].map(({ parent }) => parent)
        for (const parent of parents) if (parent !== null) expect(known.has(parent), where).toBe(true)
      },
    })
  }, 240_000)
})

describe('a start of the daemon', () => {
  test('removes what belongs to nobody', async () => {
    const world = createWorld()
    try {
      await world.clock.until(world.plane.start())
      const { id } = await world.clock.until(world.plane.create(plain))
      await world.clock.until(world.plane.stop())
      const box = world.box(id)
      world.host.boxes.set('bxorphanorphan', { ...box, status: 'partial' })
      await world.restart()
      expect([...world.host.boxes.keys()]).toEqual([id])
    } finally {
      await world.close()
    }
  })

  test('leaves a box that runs alone', async () => {
    const world = createWorld()
    try {
      world.host.repos.set(url, { '.gibil.yml': config })
      world.command(/serve/, 'hangs')
      await world.clock.until(world.plane.start())
      const { id } = await world.clock.until(world.plane.create(withRepo))
      await world.clock.until(world.plane.stop())
      const ran = world.host.ran.length
      await world.restart()
      await world.clock.advance(120_000)
      expect(world.box(id).starts).toBe(1)
      expect(world.host.ran.length).toBe(ran)
      expect(await world.plane.get('w')).toMatchObject({ status: 'running', readiness: 'ready' })
    } finally {
      await world.close()
    }
  })

  test('serves each box as soon as it is as it should be, and first the one that is asked for', async () => {
    const world = createWorld({ maxConcurrentCreates: 1 })
    try {
      await world.clock.until(world.plane.start())
      const ids: string[] = []
      for (const name of ['runs', 'hangs', 'last']) {
        ids.push((await world.clock.until(world.plane.create({ name }))).id)
        await world.clock.advance(10)
      }
      const [runs = '', hangs = '', last = ''] = ids
      await world.clock.until(world.plane.stop())
      for (const id of [hangs, last]) world.box(id).status = 'stopped'
      world.driver = createFakeDriver(world.host)
      const release = Promise.withResolvers<void>()
      world.driver.hold = async (method, id) => {
        if (method === 'start' && id === hangs) await release.promise
      }
      world.plane = createControlPlane(world.deps())
      await world.clock.until(world.plane.start())

      expect((await world.plane.list()).map(({ status }) => status)).toEqual(['running', 'stopped', 'stopped'])
      const { stream } = await world.clock.until(world.plane.connect(runs))
      stream.destroy()
      const { box, stream: other } = await world.clock.until(world.plane.connect(last))
      other.destroy()
      expect(box.status).toBe('running')
      expect(world.box(last).starts).toBe(2)
      expect(world.box(hangs).starts).toBe(1)
      // A verb waits for what is under way, and does it no second time.
      const stopping = world.plane.stopBox(hangs)
      await world.clock.settle()
      release.resolve()
      expect(await world.clock.until(stopping)).toMatchObject({ status: 'stopped' })
      await world.clock.until(world.plane.caughtUp())
      expect(ids.map((id) => world.box(id).starts)).toEqual([1, 2, 2])
    } finally {
      await world.close()
    }
  })

  test('starts boxes that the host lost when it was restarted, with their services', async () => {
    const world = createWorld()
    try {
      world.host.repos.set(url, { '.gibil.yml': config })
      world.command(/serve/, 'hangs')
      await world.clock.until(world.plane.start())
      const { id } = await world.clock.until(world.plane.create(withRepo))
      await world.clock.until(world.plane.stop())
      world.host.endJobs(world.box(id))
      world.box(id).status = 'stopped'
      await world.restart()
      await world.clock.advance(1000)
      expect(await world.plane.get('w')).toMatchObject({ status: 'running', readiness: 'ready' })
      expect(world.host.ran.filter(({ line }) => line === 'bash -c serve')).toHaveLength(2)
      expect(world.host.ran.filter(({ line }) => line === 'bash -c build')).toHaveLength(1)
    } finally {
      await world.close()
    }
  })
})
