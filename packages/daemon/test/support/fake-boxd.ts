import { connect } from 'node:net'
import type { BoxdClient, CommandChannel, Frame, StartRequest } from '@gibil/boxd-client'
import { FrameType, GibilError, type Job } from '@gibil/contract'

/** boxd in memory, as far as streams go: what `argv[0]` names is what the "command" does. */
export interface FakeBoxd {
  readonly api: BoxdClient
  /** Bytes that were asked of the command "flood". */
  flooded(): number
  /** Frames that the last command got. */
  readonly received: Frame[]
  /** What a job that is attached to says of its input; undefined: nothing, as an older boxd. */
  inputBytes: number | undefined
  /** Lets the commands "deaf" take their input. */
  hear(): void
  /** How many channels are open. */
  open(): number
}

const job: Job = {
  id: 'j1',
  pid: 7,
  argv: ['x'],
  cwd: '/',
  user: 'agent',
  tty: false,
  label: '',
  startedAt: '2026-01-01T00:00:00.000Z',
  exit: null,
  outputBytes: 0,
  firstOffset: 0,
}
const asJson = (type: FrameType, value: unknown): Frame => ({ type, payload: Buffer.from(JSON.stringify(value)) })
const exit = (exitCode: number): Frame =>
  asJson(FrameType.exit, { exitCode, signal: null, timedOut: false, durationMs: 1 })

export function createFakeBoxd(): FakeBoxd {
  const received: Frame[] = []
  const hearing = Promise.withResolvers<void>()
  let flooded = 0
  let open = 0

  async function* output(
    request: StartRequest,
    input: AsyncIterable<Frame>,
    closed: Promise<void>,
  ): AsyncGenerator<Frame> {
    const [name, argument = '0'] = request.argv
    const { inputBytes } = fake
    yield asJson(FrameType.started, { job: inputBytes === undefined ? job : { ...job, inputBytes }, offset: 0 })
    if (name === 'echo') yield { type: FrameType.stdout, payload: Buffer.from(argument) }
    if (name === 'cat') {
      for await (const { type, payload } of input) {
        if (type === FrameType.stdinEnd) break
        yield { type: FrameType.stdout, payload }
      }
    }
    if (name === 'flood') {
      const payload = Buffer.alloc(64 * 1024, 'f')
      for (const end = Number(argument); flooded < end; flooded += payload.length)
        yield { type: FrameType.stdout, payload }
    }
    if (name === 'sleep' || name === 'deaf') {
      await closed
      return
    }
    yield exit(0)
  }

  const channel = (request: StartRequest): CommandChannel => {
    received.length = 0
    open += 1
    const closed = Promise.withResolvers<void>()
    let wake = Promise.withResolvers<void>()
    async function* input(): AsyncGenerator<Frame> {
      for (let next = 0; ; next += 1) {
        while (received[next] === undefined) await wake.promise
        const frame = received[next]
        if (frame) yield frame
      }
    }
    const frames = output(request, input(), closed.promise)
    let isOpen = true
    return {
      [Symbol.asyncIterator]: () => frames,
      async send(type, payload) {
        if (request.argv[0] === 'deaf') await hearing.promise
        received.push({ type, payload: Buffer.from(payload) })
        wake.resolve()
        wake = Promise.withResolvers()
      },
      close() {
        if (isOpen) open -= 1
        isOpen = false
        closed.resolve()
      },
    }
  }

  const missing = async (): Promise<never> => {
    throw new GibilError('internal', 'The fake boxd has no such call.')
  }
  const api: BoxdClient = {
    openCommand: async (request) => {
      if (request.argv[0] === 'nothing') throw new GibilError('command_not_found', 'There is no command "nothing".')
      return channel(request)
    },
    attach: async (id, offset) => {
      if (id !== job.id) throw new GibilError('job_not_found', `There is no job ${id}.`)
      return channel({ argv: ['echo', `from ${offset}`] })
    },
    dial: (port) =>
      new Promise((resolve, reject) => {
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => resolve(socket))
        socket.once('error', (cause) => reject(new GibilError('port_closed', `Port ${port} is closed.`, { cause })))
      }),
    openBuiltin: missing,
    listen: missing,
    accept: missing,
    health: missing,
    configure: missing,
    sync: missing,
    identify: missing,
    mountDisk: missing,
    unmountDisk: missing,
    unmountDisks: missing,
    listDisks: missing,
    shutdown: missing,
    surveyTree: missing,
    readWholeTree: missing,
    readTreeFirst: missing,
    readTreeRest: missing,
    layTree: missing,
    standStill: missing,
    resizeJob: missing,
    startJob: missing,
    listJobs: missing,
    getJob: missing,
    jobOutput: missing,
    timedOutput: missing,
    signalJob: missing,
    writeStdin: missing,
    forgetJob: missing,
    readFile: missing,
    writeFile: missing,
    removeFile: missing,
    stat: missing,
    list: missing,
    describe: missing,
    describeBelow: missing,
    setAttributes: missing,
    mkdir: missing,
    move: missing,
    chmod: missing,
    watch: () => {
      throw new GibilError('internal', 'The fake boxd has no such call.')
    },
    readTar: missing,
    writeTar: missing,
    ports: missing,
    metrics: missing,
  }
  const fake: FakeBoxd = {
    api,
    received,
    inputBytes: undefined,
    hear: hearing.resolve,
    flooded: () => flooded,
    open: () => open,
  }
  return fake
}
