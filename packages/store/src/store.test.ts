import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { BoxRecord, SnapshotRecord, Store } from '@gibil/core'
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
  owner: null,
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
  isolation: 'namespaces',
  address: null,
  ports: [],
  published: [],
  repo: null,
  explicit: [],
  from: null,
  restoring: null,
  parent: null,
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
  owner: 'ci',
  data: { n },
})

const snapshot = (change: Partial<SnapshotRecord> = {}): SnapshotRecord => ({
  id: 'snaaaaaaaaaaaa',
  name: 's',
  owner: null,
  status: 'creating',
  kind: 'disk',
  boxId: 'bxaaaaaaaaaaaa',
  boxName: 'calm-otter',
  parent: null,
  bytes: null,
  temporary: false,
  saved: record(),
  createdAt: 1,
  ...change,
})

describe('snapshots', () => {
  test('are kept, found by id and by the name that is unique for their owner, and changed', async () => {
    const { insertSnapshot, ...kept } = open()
    const [first, other] = [snapshot(), snapshot({ id: 'snbbbbbbbbbbbb', owner: 'ci', createdAt: 2 })]
    await insertSnapshot(other)
    await insertSnapshot(first)
    await expect(insertSnapshot(snapshot({ id: 'sncccccccccccc' }))).rejects.toMatchObject({ code: 'name_in_use' })
    expect(await kept.getSnapshot(first.id)).toEqual(first)
    expect(await kept.findSnapshotByName('s', 'ci')).toEqual(other)
    expect(await kept.listSnapshots()).toEqual([first, other])
    expect(await kept.listSnapshots(null)).toEqual([first])
    const ready = { ...first, status: 'ready' as const, bytes: 2 ** 40 }
    await kept.saveSnapshot(ready)
    await kept.removeSnapshot(other.id)
    await kept.saveSnapshot(other)
    await store?.close()
    expect(await open().listSnapshots()).toEqual([ready])
  })
})

describe('boxes', () => {
  test('a record comes back as it was written, by id, by name and in the list', async () => {
    const boxes = open()
    await boxes.insertBox(record())
    expect(await boxes.getBox('bxaaaaaaaaaaaa')).toEqual(record())
    expect(await boxes.findBoxByName('calm-otter', null)).toEqual(record())
    expect(await boxes.listBoxes()).toEqual([record()])
    expect(await boxes.getBox('bxb')).toBeUndefined()
    expect(await boxes.findBoxByName("x' OR '1'='1", null)).toBeUndefined()
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
    expect(await boxes.findBoxByName('other', null)).toMatchObject({ status: 'running' })
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

describe('owners', () => {
  test('each have names of their own, and sums of their own', async () => {
    const boxes = open()
    const large = { cpu: 4, memoryMib: 100, diskMib: 2048 }
    const { shape, provider, image, imageDigest, size } = record()
    await boxes.insertBox(record({ id: 'bx1' }))
    await boxes.insertBox(record({ id: 'bx2', owner: 'a' }))
    await boxes.insertBox(
      record({ id: 'bx3', owner: 'a', name: 'n', remake: { shape, provider, image, imageDigest, size: large } }),
    )
    await expect(boxes.insertBox(record({ id: 'bx4', owner: 'a' }))).rejects.toMatchObject({ code: 'name_in_use' })
    expect(await boxes.findBoxByName('calm-otter', 'a')).toMatchObject({ id: 'bx2' })
    expect(await boxes.findBoxByName('n', null)).toBeUndefined()
    expect((await boxes.listBoxes({ owner: null })).map(({ id }) => id)).toEqual(['bx1'])
    expect((await boxes.listBoxes({ owner: 'a' })).map(({ id }) => id)).toEqual(['bx2', 'bx3'])
    expect(await boxes.amounts('a')).toEqual({
      boxes: 2,
      cpu: size.cpu + 4,
      memoryMib: size.memoryMib * 2,
      diskMib: size.diskMib + 2048,
    })
    expect(await boxes.amounts(null)).toMatchObject({ boxes: 1 })
    expect(await boxes.amounts('b')).toEqual({ boxes: 0, cpu: 0, memoryMib: 0, diskMib: 0 })
  })

  test('tokens come back by name and by digest until they are removed', async () => {
    const tokens = open()
    const limits = { boxes: 2, cpu: 1.5, memoryMib: null, diskMib: null }
    const token = { name: 'ci', hash: 'ab', limits, createdAt: 7, expiresAt: null }
    await tokens.insertToken(token)
    await expect(tokens.insertToken({ ...token, hash: 'cd' })).rejects.toMatchObject({ code: 'name_in_use' })
    expect([await tokens.getToken('ci'), await tokens.findTokenByHash('ab')]).toEqual([token, token])
    await tokens.insertToken({ ...token, name: 'a', hash: 'cd', expiresAt: 9 })
    expect((await tokens.listTokens()).map(({ name }) => name)).toEqual(['a', 'ci'])
    expect([await tokens.removeToken('ci'), await tokens.removeToken('ci')]).toEqual([true, false])
    expect(await tokens.findTokenByHash('ab')).toBeUndefined()
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

  test('one of before there were owners is brought up, and its boxes are of the administrator', async () => {
    const raw = new DatabaseSync(file)
    raw.exec(`
      CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL DEFAULT '') STRICT;
      INSERT INTO migrations (number, name) VALUES (1, 'boxes and events');
      CREATE TABLE boxes (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, fleet TEXT, created_at INTEGER NOT NULL, record TEXT NOT NULL) STRICT;
      CREATE INDEX boxes_by_fleet ON boxes (fleet) WHERE fleet IS NOT NULL;
      CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, type TEXT NOT NULL, box_id TEXT, box_name TEXT, data TEXT NOT NULL) STRICT;
      INSERT INTO events (at, type, box_id, box_name, data) VALUES ('2026-01-01T00:00:00.000Z', 'box.created', 'bx', 'n', '{}');`)
    const { owner: _, ...old } = record({ fleet: 'fl1' })
    const insert = raw.prepare('INSERT INTO boxes VALUES (?, ?, ?, ?, ?)')
    insert.run(old.id, old.name, old.fleet, old.createdAt, JSON.stringify(old))
    raw.close()
    const boxes = open()
    expect(await boxes.listBoxes({ fleet: 'fl1', owner: null })).toEqual([record({ fleet: 'fl1' })])
    expect(await boxes.amounts(null)).toEqual({ boxes: 1, ...record().size })
    expect(await boxes.listEvents(0, 10)).toMatchObject([{ seq: 1, owner: null }])
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
