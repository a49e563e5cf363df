import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFakeBoxd, type FakeBoxd } from '../../../daemon/test/support/fake-boxd.ts'
import { createFakePlane } from '../../../daemon/test/support/fake-plane.ts'
import { startTestDaemon, type TestDaemon } from '../../../daemon/test/support/test-daemon.ts'
import { Gibil } from '../gibil.ts'
import type { CommandStream } from './command-stream.ts'

let boxd: FakeBoxd
let daemon: TestDaemon
let gibil: Gibil

beforeAll(async () => {
  boxd = createFakeBoxd()
  daemon = await startTestDaemon(createFakePlane({}), { boxd: () => boxd.api })
  gibil = Gibil.connect({ home: daemon.home })
})
afterAll(async () => {
  gibil.close()
  await daemon[Symbol.asyncDispose]()
})

async function textOf(command: CommandStream): Promise<string> {
  let text = ''
  for await (const { data } of command) text += Buffer.from(data).toString()
  return text
}

describe('a command seen live', () => {
  test('its output, its exit and its job', async () => {
    const command = await gibil.box('w').stream(['echo', 'hello'])
    expect(command.job.id).toBe('j1')
    expect(await textOf(command)).toBe('hello')
    expect(await command.exit).toMatchObject({ exitCode: 0 })
    expect(command.offset).toBe(5)
  })

  test('input of any length goes in and comes back whole', async () => {
    const command = await gibil.box('w').stream(['cat'], { stdin: true })
    const input = 'x'.repeat(300_000)
    command.stdin.end(input)
    expect(await textOf(command)).toBe(input)
  })

  test('a command that cannot start is thrown by the call itself', async () => {
    await expect(gibil.box('w').stream(['nothing'])).rejects.toMatchObject({ code: 'command_not_found' })
  })

  test('what is not read stalls the command instead of filling memory', async () => {
    const before = boxd.flooded()
    const total = before + 64 * 1024 * 1024
    const command = await gibil.box('w').stream(['flood', String(total)])
    await new Promise((resolve) => setTimeout(resolve, 300))
    const held = boxd.flooded() - before
    expect(held).toBeLessThan(16 * 1024 * 1024)
    let bytes = 0
    for await (const { data } of command) bytes += data.byteLength
    expect(bytes).toBe(64 * 1024 * 1024)
  })

  test('wait throws the output away', async () => {
    const command = await gibil.box('w').stream(['flood', String(boxd.flooded() + 8 * 1024 * 1024)])
    expect(await command.wait()).toMatchObject({ exitCode: 0 })
  })

  test('leaving the loop detaches', async () => {
    const command = await gibil.box('w').stream(['flood', String(boxd.flooded() + 32 * 1024 * 1024)])
    for await (const _ of command) break
    await expect(command.exit).rejects.toMatchObject({ code: 'cancelled' })
    await expect.poll(() => boxd.open()).toBe(0)
  })

  test('an abort kills the group and is cancelled', async () => {
    const abort = new AbortController()
    const command = await gibil.box('w').stream(['sleep'], { signal: abort.signal })
    abort.abort()
    await expect(command.exit).rejects.toMatchObject({ code: 'cancelled' })
    await expect
      .poll(() => boxd.received.map(({ payload }) => payload.toString()))
      .toEqual(['{"signal":"SIGKILL","group":true}'])
  })

  test('resize and signals are frames', async () => {
    const command = await gibil.box('w').shell({ tty: { cols: 80, rows: 24 }, command: ['sleep'] })
    await command.resize({ cols: 100, rows: 30 })
    await command.kill('SIGINT')
    await expect
      .poll(() => boxd.received.map(({ type, payload }) => [type, payload.toString()]))
      .toEqual([
        [2, '{"cols":100,"rows":30}'],
        [3, '{"signal":"SIGINT","group":true}'],
      ])
    command.detach()
  })

  test('attaching to a job that is not there', async () => {
    await expect(gibil.box('w').jobs.attach('j9')).rejects.toMatchObject({ code: 'job_not_found' })
  })
})

describe('a daemon that goes away and comes back', () => {
  test('the command is attached to again from the offset', async () => {
    const plane = createFakePlane({})
    const first = await startTestDaemon(plane, { boxd: () => boxd.api })
    await using client = Gibil.connect({ home: first.home })
    const command = await client.box('w').stream(['sleep'])
    const text = textOf(command)
    await first.daemon.stop()
    await using _second = await startTestDaemon(plane, { home: first.home, boxd: () => boxd.api })
    // The stand-in for boxd answers an attach with the offset that was asked for.
    expect(await text).toBe('from 0')
    expect(await command.exit).toMatchObject({ exitCode: 0 })
  })

  test.each([
    [1000, 'goes on when all of its input came'],
    [400, 'is interrupted when some of its input was lost on the way'],
    [1400, 'is interrupted when a part of its input would come twice'],
  ])('a command that got %i of 1000 bytes %s', async (came) => {
    const plane = createFakePlane({})
    const own = createFakeBoxd()
    own.inputBytes = 0
    const first = await startTestDaemon(plane, { boxd: () => own.api })
    await using client = Gibil.connect({ home: first.home })
    const command = await client.box('w').stream(['sleep'], { stdin: true })
    await new Promise((resolve) => command.stdin.write(Buffer.alloc(1000), resolve))
    await first.daemon.stop()
    own.inputBytes = came
    await using _second = await startTestDaemon(plane, { home: first.home, boxd: () => own.api })
    if (came === 1000) expect(await command.wait()).toMatchObject({ exitCode: 0 })
    else
      await expect(command.wait()).rejects.toMatchObject({
        code: 'interrupted',
        message: expect.stringContaining('1000'),
      })
  })

  test('whoever waits for a command to take its input is told when the input was lost', async () => {
    const plane = createFakePlane({})
    const own = createFakeBoxd()
    own.inputBytes = 0
    const first = await startTestDaemon(plane, { boxd: () => own.api })
    await using client = Gibil.connect({ home: first.home })
    const command = await client.box('w').stream(['deaf'], { stdin: true })
    const write = () =>
      new Promise<void>((resolve, reject) =>
        command.stdin.write(Buffer.alloc(65_536), (error) => (error ? reject(error) : resolve())),
      )
    const writing = (async () => {
      for (;;) await write()
    })()
    writing.catch(() => undefined)
    await expect.poll(() => own.received.length + command.stdin.writableLength).toBeGreaterThan(0)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await first.daemon.stop()
    // Several tries to come back fail before.
    await new Promise((resolve) => setTimeout(resolve, 300))
    await using _second = await startTestDaemon(plane, { home: first.home, boxd: () => own.api })
    await expect(command.wait()).rejects.toMatchObject({ code: 'interrupted' })
    await expect(writing).rejects.toMatchObject({ code: 'interrupted' })
  })

  test('one that does not come back in time is told', async () => {
    const first = await startTestDaemon(createFakePlane({}), { boxd: () => boxd.api })
    await using client = Gibil.connect({ home: first.home })
    const command = await client.box('w').stream(['sleep'], { reattachMs: 100 })
    await first[Symbol.asyncDispose]()
    await expect(command.exit).rejects.toMatchObject({ code: 'daemon_unreachable' })
  })
})
