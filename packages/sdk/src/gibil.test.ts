import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type Event, GibilError } from '@gibil/contract'
import { extract } from 'tar-stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createFakeBoxd } from '../../daemon/test/support/fake-boxd.ts'
import { createFakePlane, type FakePlane } from '../../daemon/test/support/fake-plane.ts'
import { startTestDaemon, type TestDaemon } from '../../daemon/test/support/test-daemon.ts'
import { Gibil } from './gibil.ts'

let plane: FakePlane
let daemon: TestDaemon
let gibil: Gibil

beforeEach(async () => {
  plane = createFakePlane({})
  const boxd = createFakeBoxd()
  daemon = await startTestDaemon(plane, { boxd: () => boxd.api })
  gibil = Gibil.connect({ home: daemon.home })
})
afterEach(async () => {
  gibil.close()
  await daemon[Symbol.asyncDispose]()
})

describe('making boxes', () => {
  test('create tells its progress, and the box ends with its block', async () => {
    const phases: string[] = []
    {
      await using box = await gibil.create({ name: 'w' }, { onProgress: ({ phase }) => phases.push(phase) })
      expect(box.name).toBe('w')
      expect((await gibil.list()).map(({ name }) => name)).toEqual(['w'])
    }
    expect(phases).toEqual(['start'])
    expect(await gibil.list()).toEqual([])
  })

  test('a box that was destroyed within its block is no failure', async () => {
    await using box = await gibil.create({ name: 'w' })
    await box.destroy()
  })

  test('a box without a name gets one that is a DNS label', async () => {
    const box = await gibil.create()
    expect(box.name).toMatch(/^[a-z]+-[a-z]+-[a-z0-9]{3}$/)
  })

  test('a name in use is told', async () => {
    await gibil.create({ name: 'w' })
    await expect(gibil.create({ name: 'w' })).rejects.toMatchObject({ code: 'name_in_use' })
  })

  test('a create that is given up leaves nothing', async () => {
    const abort = new AbortController()
    const creating = gibil.create({ name: 'w', image: 'slow' }, { signal: abort.signal })
    await expect.poll(() => plane.waitingSignals.length).toBe(1)
    abort.abort()
    setTimeout(() => plane.release(), 120)
    await expect(creating).rejects.toMatchObject({ code: 'cancelled' })
    await expect.poll(() => gibil.list()).toEqual([])
  })

  test('a create that is given up while its box is already there destroys the box at once', async () => {
    const destroyed = Promise.withResolvers<void>()
    const wrapped: FakePlane = {
      ...plane,
      create: async (input) => {
        await plane.create(input)
        await destroyed.promise
        throw new GibilError('interrupted', 'The box was destroyed.')
      },
      get: async (ref) => ({ ...(await plane.get(ref)), createdAt: new Date().toISOString() }),
      destroy: async (ref) => {
        const box = await plane.destroy(ref)
        destroyed.resolve()
        return box
      },
    }
    await using other = await startTestDaemon(wrapped)
    const client = Gibil.connect({ home: other.home })
    const abort = new AbortController()
    const creating = client.create({ name: 'w' }, { signal: abort.signal })
    await expect.poll(() => client.list()).toHaveLength(1)
    abort.abort()
    await expect(creating).rejects.toMatchObject({ code: 'cancelled' })
    expect(await client.list()).toEqual([])
  })

  test('giving up a create whose name belongs to another box leaves that one alone', async () => {
    await gibil.create({ name: 'w' })
    const abort = new AbortController()
    const creating = gibil.create({ name: 'w' }, { signal: abort.signal })
    abort.abort()
    await expect(creating).rejects.toMatchObject({ code: 'name_in_use' })
    expect((await gibil.list()).map(({ name }) => name)).toEqual(['w'])
  })

  test('one that is aborted before it begins asks nothing of the daemon', async () => {
    await expect(gibil.create({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('a fleet, seen and destroyed by its id', async () => {
    const fleet = await gibil.fleets.create({ name: 'f', count: 3 })
    expect(fleet.boxes.map(({ name }) => name)).toEqual(['f-1', 'f-2', 'f-3'])
    expect((await gibil.fleets.get(fleet.id)).boxes).toHaveLength(3)
    expect(await gibil.fleets.destroy(fleet.id)).toHaveLength(3)
    await expect(gibil.fleets.get(fleet.id)).rejects.toMatchObject({ code: 'fleet_not_found' })
  })

  test('are saved, put back and forked', async () => {
    await gibil.create({ name: 'w' })
    const snapshot = await gibil.snapshots.create('w', { name: 's' })
    expect(await gibil.snapshots.list({ box: 'w' })).toEqual([snapshot])
    expect(await gibil.snapshots.get('s')).toEqual(snapshot)
    const mount = await gibil.box('w').mount('s')
    expect(mount).toEqual({ path: '/snapshots/s', snapshotId: snapshot.id, snapshot: 's' })
    expect((await gibil.box('w').mount('s', { path: '/old' })).path).toBe('/old')
    expect(await gibil.box('w').unmount('/old')).toMatchObject({ path: '/old' })
    expect(await gibil.box('w').mounts()).toEqual([mount])
    expect((await gibil.box('w').restore('s')).parent).toBe(snapshot.id)
    const { boxes } = await gibil.fork({ from: 'w', count: 2 })
    expect(boxes.map(({ name }) => name)).toEqual([
      expect.stringMatching(/^[a-z]+-[a-z]+-\w{3}-1$/),
      expect.stringMatching(/-2$/),
    ])
    expect(await gibil.snapshots.remove('s')).toEqual(snapshot)
    await expect(gibil.snapshots.get('s')).rejects.toMatchObject({ code: 'snapshot_not_found' })
  })
})

describe('a local directory as the repository', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'gibil-repo-'))
    await writeFile(join(dir, 'a.txt'), 'hello')
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  const names = async (tar: Buffer): Promise<string[]> => {
    const found: string[] = []
    for await (const entry of Readable.from([tar]).pipe(extract())) {
      found.push(entry.header.name)
      entry.resume()
    }
    return found
  }

  test('is sent after the box was made, to one box and to each of a fleet', async () => {
    const phases: string[] = []
    const box = await gibil.create({ name: 'w', repo: dir }, { onProgress: ({ phase }) => phases.push(phase) })
    expect(await names(plane.uploads.get((await box.info()).id) ?? Buffer.alloc(0))).toEqual(['a.txt'])
    expect(phases).toEqual(['start', 'upload', 'upload'])
    const fleet = await gibil.fleets.create({ name: 'f', count: 2, repo: { source: '.', cwd: dir } })
    expect(fleet.failures).toEqual([])
    for (const { id } of fleet.boxes) expect(plane.uploads.get(id)?.length).toBeGreaterThan(0)
  })

  test('that does not exist makes no box', async () => {
    await expect(gibil.create({ repo: './nowhere' })).rejects.toMatchObject({ code: 'invalid_repo' })
    expect(await gibil.list()).toEqual([])
  })

  test('that cannot be packed leaves no box', async () => {
    await mkdir(join(dir, 'broken/.git'), { recursive: true })
    await writeFile(join(dir, 'broken/.git/HEAD'), 'ref: refs/heads/main\n')
    await mkdir(join(dir, 'broken/.git/objects'))
    await mkdir(join(dir, 'broken/.git/refs'))
    await writeFile(join(dir, 'broken/.git/index'), 'this is no index')
    await expect(gibil.create({ repo: join(dir, 'broken') })).rejects.toMatchObject({ code: 'invalid_repo' })
    expect(await gibil.list()).toEqual([])
  })
})

describe('events', () => {
  test('go on over a restart of the daemon without a gap or a repeat', async () => {
    const abort = new AbortController()
    const seen: number[] = []
    await gibil.create({ name: 'one' })
    const reading = (async () => {
      for await (const event of gibil.events({ after: 0, signal: abort.signal })) {
        seen.push(event.seq)
        if (seen.length === 3) break
      }
    })()
    await expect.poll(() => seen).toEqual([1])
    await daemon.daemon.stop()
    plane.emit({ type: 'box.paused', boxId: 'b1', boxName: 'one' })
    await using _again = await startTestDaemon(plane, { home: daemon.home })
    await expect.poll(() => seen.length, { timeout: 5000 }).toBe(2)
    plane.emit({ type: 'box.resumed', boxId: 'b1', boxName: 'one' })
    await reading
    expect(seen).toEqual([1, 2, 3])
  })

  test('end quietly at the signal', async () => {
    const events: Event[] = []
    for await (const event of gibil.events({ signal: AbortSignal.timeout(50) })) events.push(event)
    expect(events).toEqual([])
  })

  test('of a daemon that was never there are an error', async () => {
    const nobody = Gibil.connect({ home: join(daemon.home, 'nobody') })
    await expect(nobody.events()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'daemon_unreachable' })
  })
})

describe('by HTTP', () => {
  test('with the token everything works, streams too', async () => {
    const { url, token } = daemon.daemon
    await using remote = Gibil.connect({ url, token })
    const box = await remote.create({ name: 'w' }, { onProgress: () => undefined })
    const command = await box.stream(['echo', 'hello'])
    let text = ''
    for await (const { data } of command) text += Buffer.from(data).toString()
    expect(text).toBe('hello')
  })

  test('a wrong token is unauthorized, for calls and for streams', async () => {
    const remote = Gibil.connect({ url: daemon.daemon.url, token: 'wrong' })
    await expect(remote.list()).rejects.toMatchObject({ code: 'unauthorized' })
    await expect(remote.box('w').stream(['echo'])).rejects.toMatchObject({ code: 'unauthorized' })
  })
})

test('a port of the box is a stream both ways, with half-close', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let got = ''
    socket.on('data', (data) => {
      got += data
    })
    // Answers only after the other side has said that it is done.
    socket.on('end', () => socket.end(`got ${got.length}`))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  try {
    const stream = await gibil.box('w').dial(typeof address === 'object' && address ? address.port : 0)
    stream.end(Buffer.alloc(700_000, 'x'))
    let text = ''
    for await (const chunk of stream) text += String(chunk)
    expect(text).toBe('got 700000')
  } finally {
    server.close()
  }
  await expect(gibil.box('w').dial(1)).rejects.toMatchObject({ code: 'port_closed' })
})

test('what a port says at once is not lost', async () => {
  const server = createServer((socket) => socket.end('SSH-2.0-first\r\n')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const greet = async (): Promise<string> => {
    let text = ''
    for await (const chunk of await gibil.box('w').dial(port)) text += String(chunk)
    return text
  }
  try {
    for (let round = 0; round < 20; round += 1) expect(await greet()).toBe('SSH-2.0-first\r\n')
  } finally {
    server.close()
  }
})

test('a box that is not there', async () => {
  await expect(gibil.get('nobody')).rejects.toMatchObject({ code: 'box_not_found' })
  await expect(gibil.box('nobody').extend('2h')).rejects.toMatchObject({ code: 'box_not_found' })
})

test('a name is one part of a path, whatever it holds', async () => {
  await expect(gibil.get('../images')).rejects.toMatchObject({ code: 'box_not_found' })
})
