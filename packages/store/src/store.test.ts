import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { BoxRecord, Store } from '@gibil/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openStore } from './index.ts'

const run = promisify(execFile)

let dir = ''
let file = ''
let store: Store | undefined

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'gibil-store-'))
  file = join(dir, 'gibil.db')
})
afterEach(async () => {
  await store?.close()
  store = undefined
  await rm(dir, { recursive: true, force: true })
})
const open = (options?: Parameters<typeof openStore>[1]): Store => {
  store = openStore(file, options)
  return store
}

const record = (change: Partial<BoxRecord> = {}): BoxRecord => ({
  id: 'bxaaaaaaaaaaaa',
  name: 'calm-otter',
  shape: 'container',
  provider: 'local',
  image: 'base',
  imageDigest: 'sha256:0',
  size: { cpu: 1.5, memoryMib: 512, diskMib: 1024 },
  desired: 'running',
  status: 'creating',
  readiness: 'creating',
  failure: null,
  user: 'agent',
  env: { A: 'it\'s "quoted" ü' },
  labels: {},
  fleet: null,
  network: 'internet',
  address: null,
  ports: [],
  repo: null,
  explicit: [],
  config: null,
  remake: null,
  remakes: 0,
  tasksDone: false,
  ttlMs: 3_600_000,
  expiresAt: 2 ** 41,
  idleMs: null,
  onExpire: 'destroy',
  warnedFor: null,
  hookFor: null,
  createdAt: 1,
  startedAt: null,
  lastActiveAt: null,
  timings: [{ phase: 'disk', ms: 1.25 }],
  ...change,
})
const event = (n: number) => ({
  at: '2026-01-01T00:00:00.000Z',
  type: 'box.created' as const,
  boxId: 'bx',
  boxName: 'n',
  data: { n },
})

describe('boxes', () => {
  test('a record comes back as it was written, by id, by name and in the list', async () => {
    const boxes = open()
    await boxes.insertBox(record())
    expect(await boxes.getBox('bxaaaaaaaaaaaa')).toEqual(record())
    expect(await boxes.findBoxByName('calm-otter')).toEqual(record())
    expect(await boxes.listBoxes()).toEqual([record()])
    expect(await boxes.getBox('bxb')).toBeUndefined()
    expect(await boxes.findBoxByName("x' OR '1'='1")).toBeUndefined()
  })

  test('of two inserts with one name exactly one wins', async () => {
    const boxes = open()
    const results = await Promise.allSettled([
      boxes.insertBox(record({ id: 'bx1' })),
      boxes.insertBox(record({ id: 'bx2' })),
    ])
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'name_in_use' } })
    expect(await boxes.listBoxes()).toHaveLength(1)
  })

  test('saving replaces, says when there is nothing to replace, and removing frees the name', async () => {
    const boxes = open()
    await boxes.insertBox(record())
    expect(await boxes.saveBox(record({ status: 'running', name: 'other' }))).toBe(true)
    expect(await boxes.findBoxByName('other')).toMatchObject({ status: 'running' })
    await boxes.removeBox('bxaaaaaaaaaaaa')
    expect(await boxes.saveBox(record())).toBe(false)
    expect(await boxes.getBox('bxaaaaaaaaaaaa')).toBeUndefined()
    await boxes.insertBox(record({ id: 'bx3' }))
  })

  test('the list is oldest first and can be filtered by fleet and name', async () => {
    const boxes = open()
    await boxes.insertBox(record({ id: 'bx2', name: 'b', createdAt: 20, fleet: 'fl1' }))
    await boxes.insertBox(record({ id: 'bx1', name: 'c', createdAt: 10 }))
    await boxes.insertBox(record({ id: 'bx3', name: 'a', createdAt: 20, fleet: 'fl1' }))
    expect((await boxes.listBoxes()).map(({ id }) => id)).toEqual(['bx1', 'bx2', 'bx3'])
    expect((await boxes.listBoxes({ fleet: 'fl1' })).map(({ id }) => id)).toEqual(['bx2', 'bx3'])
    expect((await boxes.listBoxes({ fleet: 'fl1', name: 'a' })).map(({ id }) => id)).toEqual(['bx3'])
    expect(await boxes.listBoxes({ fleet: 'fl2' })).toEqual([])
    expect(await boxes.countBoxes()).toBe(3)
  })
})

describe('events', () => {
  test('numbers grow by one, also across a restart and after the oldest were dropped', async () => {
    let events = open({ keptEvents: 3 })
    expect(await events.lastEventSeq()).toBe(0)
    for (const n of [1, 2, 3, 4, 5]) expect((await events.appendEvent(event(n))).seq).toBe(n)
    await events.close()
    events = open({ keptEvents: 3 })
    expect(await events.lastEventSeq()).toBe(5)
    expect((await events.appendEvent(event(6))).seq).toBe(6)
    expect((await events.listEvents(0, 100)).map(({ seq }) => seq)).toEqual([4, 5, 6])
    expect(await events.listEvents(4, 1)).toEqual([{ seq: 5, ...event(5) }])
  })
})

describe('the file', () => {
  test('is readable by its owner only, and so is its log', async () => {
    const boxes = open()
    await boxes.insertBox(record())
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(`${file}-wal`)).mode & 0o777).toBe(0o600)
  })

  test('a second daemon is refused, from this process and from another', async () => {
    open()
    expect(() => openStore(file)).toThrow(expect.objectContaining({ code: 'wrong_state' }))
    const other = fileURLToPath(new URL('./index.ts', import.meta.url))
    const script = `import { openStore } from ${JSON.stringify(other)}
      try { openStore(${JSON.stringify(file)}); console.log('opened') } catch (error) { console.log(error.code) }`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script])
    expect(stdout.trim()).toBe('wrong_state')
  })

  test('what was written survives the death of the process without a close', async () => {
    const other = fileURLToPath(new URL('./index.ts', import.meta.url))
    const script = `import { openStore } from ${JSON.stringify(other)}
      const store = openStore(${JSON.stringify(file)})
      await store.insertBox(${JSON.stringify(record())})
      process.kill(process.pid, 'SIGKILL')`
    await expect(run(process.execPath, ['--input-type=module', '-e', script])).rejects.toMatchObject({
      signal: 'SIGKILL',
    })
    expect(await open().listBoxes()).toEqual([record()])
  })

  test('one of a newer version, or with something else in it, is refused and left as it is', async () => {
    await open().close()
    const raw = new DatabaseSync(file)
    raw.exec("INSERT INTO migrations (number, name) VALUES (999, 'later')")
    raw.close()
    store = undefined
    expect(() => openStore(file)).toThrow(
      expect.objectContaining({ code: 'wrong_state', message: expect.stringContaining('newer') }),
    )
  })
})
