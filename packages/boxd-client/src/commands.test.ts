import { Readable } from 'node:stream'
import { type Exit, FrameType, GibilError, type Job, type JobOutput } from '@gibil/contract'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createBoxdClient } from './client.ts'
import { connectBoxd } from './connect-boxd.ts'
import { type RealBoxd, startBoxd } from './testing/real-boxd.ts'
import type { BoxdClient, CommandChannel, Frame } from './types.ts'

let boxd: RealBoxd
let client: BoxdClient
beforeAll(async () => {
  boxd = await startBoxd()
  client = createBoxdClient(boxd.dial)
})
afterAll(() => boxd[Symbol.asyncDispose]())

const sh = (script: string) => ({ argv: ['sh', '-c', script], cwd: '/' })
const json = (value: unknown) => Buffer.from(JSON.stringify(value))

async function framesOf(channel: CommandChannel): Promise<Frame[]> {
  const frames: Frame[] = []
  for await (const frame of channel) frames.push(frame)
  return frames
}
const outputOf = (frames: readonly Frame[]): Buffer =>
  Buffer.concat(
    frames.filter(({ type }) => type === FrameType.stdout || type === FrameType.stderr).map((frame) => frame.payload),
  )
const exitOf = (frames: readonly Frame[]): Exit => JSON.parse(frames.at(-1)?.payload.toString() ?? 'null')
const startedJob = (frame: Frame | undefined): Job => JSON.parse(frame?.payload.toString() ?? 'null').job
const codeOf = async (promise: Promise<unknown>) => {
  const error = await promise.catch((thrown: unknown) => thrown)
  return GibilError.is(error) ? error.code : error
}
/** What `seq 1 n` prints. */
const numbers = (n: number) => Buffer.from(Array.from({ length: n }, (_, index) => `${index + 1}\n`).join(''))

describe('a command', () => {
  test('gives started, its streams apart, and its exit', async () => {
    const frames = await framesOf(await client.openCommand(sh('printf out; sleep 0.05; printf err >&2; exit 3')))
    expect(frames.map(({ type }) => type)).toEqual([
      FrameType.started,
      FrameType.stdout,
      FrameType.stderr,
      FrameType.exit,
    ])
    expect(startedJob(frames[0]).argv[0]).toBe('sh')
    expect(exitOf(frames)).toMatchObject({ exitCode: 3, signal: null, timedOut: false })
  })

  test('takes input of any length and its end', async () => {
    const input = Buffer.alloc(3 * 1024 * 1024, 'input ')
    const channel = await client.openCommand({ argv: ['cat'], cwd: '/', stdin: true })
    const sent = channel.send(FrameType.stdin, input).then(() => channel.send(FrameType.stdinEnd, new Uint8Array()))
    const output = outputOf(await framesOf(channel))
    await sent
    expect(output.equals(input)).toBe(true)
  })

  test('has a terminal that can be resized', async () => {
    const channel = await client.openCommand({ ...sh('read line; stty size'), tty: { cols: 90, rows: 30 } })
    await channel.send(FrameType.resize, json({ cols: 132, rows: 50 }))
    await channel.send(FrameType.stdin, Buffer.from('\n'))
    expect(outputOf(await framesOf(channel)).toString()).toContain('50 132')
  })

  test('gets signals', async () => {
    const channel = await client.openCommand(sh('sleep 1000'))
    await channel.send(FrameType.signal, json({ signal: 'SIGKILL' }))
    expect(exitOf(await framesOf(channel))).toMatchObject({ exitCode: null, signal: 'SIGKILL' })
  })

  test('is held back by a client that does not read, and loses nothing', async () => {
    const channel = await client.openCommand({ ...sh('seq 1 2000000'), ringBytes: 65_536 })
    const first = await channel[Symbol.asyncIterator]().next()
    const { id } = startedJob(first.value)
    let printed = -1
    for (let now = 0; now !== printed; ) {
      printed = now
      await new Promise((resolve) => setTimeout(resolve, 300))
      now = (await client.getJob(id)).outputBytes
    }
    expect(printed).toBeLessThan(4 * 1024 * 1024)
    expect(outputOf(await framesOf(channel)).equals(numbers(2_000_000))).toBe(true)
  })

  test('goes on when the channel is closed; another attaches and misses nothing', async () => {
    const channel = await client.openCommand({
      ...sh('seq 1 100000; read line; echo $line'),
      stdin: true,
      ringBytes: 2 ** 22,
    })
    const pieces: Buffer[] = []
    let job: Job | undefined
    for await (const { type, payload } of channel) {
      if (type === FrameType.started) job = startedJob({ type, payload })
      if (type === FrameType.stdout) pieces.push(payload)
      if (Buffer.concat(pieces).length > 100_000) break
    }
    const received = Buffer.concat(pieces)
    const again = await client.attach(job?.id ?? '', received.length)
    await again.send(FrameType.stdin, Buffer.from('the end\n'))
    const rest = outputOf(await framesOf(again))
    expect(Buffer.concat([received, rest]).toString()).toBe(`${numbers(100_000)}the end\n`)
  })

  test('says which bytes are gone', async () => {
    const job = await client.startJob({ ...sh('seq 1 20000'), ringBytes: 4096 })
    await client.jobOutput(job.id, { waitMs: 20_000 })
    await expect.poll(async () => (await client.getJob(job.id)).exit).not.toBeNull()
    const [, gap] = await framesOf(await client.attach(job.id, 5))
    expect(gap?.type).toBe(FrameType.gap)
    expect(JSON.parse(gap?.payload.toString() ?? '')).toMatchObject({ from: 5 })
  })

  test.each([
    ['command_not_found', { argv: ['no-such-command'] }],
    ['command_not_found', { argv: ['true'], cwd: '/no/such' }],
    ['user_not_found', { argv: ['true'], user: 'no-such-user' }],
    ['invalid_request', { argv: [] }],
  ])('is refused with %s before anything runs', async (code, request) => {
    expect(await codeOf(client.openCommand(request))).toBe(code)
    expect(await codeOf(client.startJob(request))).toBe(code)
  })

  test('leaves no stream open', async () => {
    await framesOf(await client.openCommand(sh('true')))
    const left = await client.openCommand(sh('sleep 1000'))
    for await (const _ of left) break
    const closed = await client.openCommand(sh('sleep 1000'))
    closed.close()
    expect(await framesOf(closed)).toEqual([])
    await expect.poll(() => boxd.openStreams()).toBe(0)
    expect(await codeOf(closed.send(FrameType.stdin, Buffer.from('x')))).toBe('boxd_unreachable')
  })
})

describe('jobs', () => {
  test('are started, listed, read and forgotten', async () => {
    const job = await client.startJob({ ...sh('echo out; echo err >&2; exit 4'), label: 'a label' })
    expect(job).toMatchObject({ label: 'a label', tty: false, exit: null })
    await expect.poll(async () => (await client.getJob(job.id)).exit).toMatchObject({ exitCode: 4 })
    expect((await client.listJobs()).map(({ id }) => id)).toContain(job.id)
    const output = await client.jobOutput(job.id)
    expect(output).toMatchObject({ nextOffset: 8, lost: 0, exit: { exitCode: 4 } })
    // Two pipes: which of them is read first is not said.
    const printed = output.chunks.map(({ stream, text }) => `${stream}:${text}`)
    expect(printed.sort()).toEqual(['stderr:err\n', 'stdout:out\n'])
    await client.forgetJob(job.id)
    expect(await codeOf(client.getJob(job.id))).toBe('job_not_found')
  })

  test('take signals, sizes and input from outside', async () => {
    const cat = await client.startJob({ argv: ['cat'], cwd: '/', stdin: true })
    expect(await codeOf(client.forgetJob(cat.id))).toBe('file_conflict')
    await client.writeStdin(cat.id, Readable.from(['one ', 'two']), { end: true })
    let text = ''
    let output: JobOutput
    let offset = 0
    do {
      output = await client.jobOutput(cat.id, { offset, waitMs: 20_000 })
      text += output.chunks.map((chunk) => chunk.text).join('')
      offset = output.nextOffset
    } while (!output.exit)
    expect(text).toBe('one two')
    const tty = await client.startJob({ ...sh('sleep 1000'), tty: { cols: 80, rows: 24 } })
    await client.resizeJob(tty.id, { cols: 100, rows: 40 })
    await client.signalJob(tty.id, { signal: 'SIGKILL' })
    await expect.poll(async () => (await client.getJob(tty.id)).exit?.signal).toBe('SIGKILL')
  })

  test('a character cut by the limit comes whole with the next read', async () => {
    const job = await client.startJob(sh("printf 'aé€😀'"))
    await expect.poll(async () => (await client.getJob(job.id)).exit).not.toBeNull()
    let text = ''
    let next = 0
    for (let reads = 0; next < 10 && reads < 10; reads += 1) {
      const output = await client.jobOutput(job.id, { offset: next, limit: 4 })
      text += output.chunks.map((chunk) => chunk.text).join('')
      next = output.nextOffset
    }
    expect(text).toBe('aé€😀')
  })
})

describe('for the domain', () => {
  test('exec gives output as it comes, and the exit', async () => {
    const seen: string[] = []
    const exit = await connectBoxd(boxd.dial).exec(sh('echo out; echo err >&2; exit 5'), (stream, data) =>
      seen.push(`${stream}:${Buffer.from(data)}`),
    )
    expect(exit.exitCode).toBe(5)
    expect(seen.toSorted()).toEqual(['stderr:err\n', 'stdout:out\n'])
  })

  test('an aborted exec kills the whole group', async () => {
    const abort = new AbortController()
    let pids = ''
    const run = connectBoxd(boxd.dial).exec(
      sh('sleep 1000 & echo $! $$; wait'),
      (_, data) => {
        pids += Buffer.from(data)
        if (pids.endsWith('\n')) abort.abort()
      },
      abort.signal,
    )
    expect(await codeOf(run)).toBe('cancelled')
    for (const pid of pids.trim().split(' ')) {
      await expect.poll(() => isRunning(Number(pid)), { timeout: 10_000 }).toBe(false)
    }
    expect(await codeOf(connectBoxd(boxd.dial).exec(sh('true'), () => undefined, AbortSignal.abort()))).toBe(
      'cancelled',
    )
  })

  test('configures, reads small files, and dials ports', async () => {
    const domain = connectBoxd(boxd.dial)
    expect(await domain.health()).toMatchObject({ version: expect.any(String) })
    await domain.configure({ env: { GREETING: 'hello' } })
    let text = ''
    await domain.exec(sh('echo $GREETING > "$1"; cat "$1"'.replaceAll('"$1"', `${boxd.dir}/greeting`)), (_, data) => {
      text += Buffer.from(data)
    })
    expect(text).toBe('hello\n')
    expect(Buffer.from((await domain.readFile(`${boxd.dir}/greeting`, 100)) ?? []).toString()).toBe('hello\n')
    expect(await domain.readFile(`${boxd.dir}/nothing`, 100)).toBeUndefined()
    expect(await codeOf(domain.readFile(`${boxd.dir}/greeting`, 5))).toBe('payload_too_large')
    const id = await domain.startJob(sh('exit 0'))
    expect((await domain.jobs()).map((job) => job.id)).toContain(id)
    expect(await codeOf(domain.dialPort(1))).toBe('port_closed')
    await expect.poll(() => boxd.openStreams()).toBe(0)
  })
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
