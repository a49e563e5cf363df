import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Exit, FrameType, GibilError, Job, type OpenCommand, type SendSignal, type TtySize } from '@gibil/contract'
import type { WebSocket } from 'ws'
import * as z from 'zod'
import { decodeFrame, encodeFrame, type Frame } from '../connect/frames.ts'
import { createQueue } from '../connect/queue.ts'
import type { Transport } from '../connect/transport.ts'
import { openWebSocket } from '../connect/websocket.ts'
import type { CommandOptions } from './command.ts'

export interface CommandOutput {
  readonly stream: 'stdout' | 'stderr'
  readonly data: Uint8Array
}

export type SignalName = SendSignal['signal']

/**
 * A command in a box, seen live. Iterate it for the output; what is not read stalls the command as a full pipe would, so
 * call `wait` when the output does not matter. Leaving the iteration early detaches: the command goes on.
 */
export interface CommandStream extends AsyncIterable<CommandOutput> {
  readonly job: Job
  /** How it ended. Rejects when the box or the daemon is lost for good. */
  readonly exit: Promise<Exit>
  /** Where to write its input; ended at once unless input was asked for. */
  readonly stdin: Writable
  /** Bytes of output so far; attach again from here to go on. */
  readonly offset: number
  /** Bytes that the box no longer kept when this side came back. */
  readonly lost: number
  resize(size: TtySize): Promise<void>
  /** Signals the process group. SIGTERM by default. */
  kill(signal?: SignalName): Promise<void>
  /** Leaves the command running. */
  detach(): void
  /** Throws away the output that nobody reads, and answers with the exit. */
  wait(): Promise<Exit>
}

export interface StreamSettings {
  /** Aborting kills the command's process group. */
  readonly signal?: AbortSignal | undefined
  /** How long to try to come back after the connection dropped. Default 60 000 ms; 0: not at all. */
  readonly reattachMs?: number | undefined
}

export interface StreamOptions extends CommandOptions, StreamSettings {
  /** Keep its input open for `stdin` of the stream. */
  readonly stdin?: boolean | undefined
  readonly tty?: TtySize | undefined
}

const Started = z.object({ job: Job, offset: z.int() })
const Gap = z.object({ from: z.int(), to: z.int() })
const queueBytes = 1024 * 1024
const inputChunkBytes = 64 * 1024
const firstPauseMs = 20

/** Failures of the way to the command, not of the command: worth trying again. */
const drops: ReadonlySet<string> = new Set([
  'daemon_unreachable',
  'interrupted',
  'boxd_unreachable',
  'busy',
  'cancelled',
])
const isDrop = (error: unknown): error is GibilError => GibilError.is(error) && drops.has(error.code)

/** Whether a frame went out. One that waits when the connection ends is not always told so by its own callback. */
function sendOn(socket: WebSocket, frame: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const onClose = (): void => resolve(false)
    socket.once('close', onClose)
    socket.send(frame, (error) => {
      socket.off('close', onClose)
      resolve(!error)
    })
  })
}

/** Starts or attaches; resolves once boxd says that the command runs. */
export async function openCommandStream(
  transport: Transport,
  path: string,
  open: OpenCommand,
  settings: StreamSettings = {},
): Promise<CommandStream> {
  const { signal, reattachMs = 60_000 } = settings
  let socket: WebSocket | undefined
  let job: Job | undefined
  const askedOffset = 'attach' in open ? open.offset : undefined
  let offset = askedOffset ?? 0
  let lost = 0
  let lastSize: TtySize | undefined
  // Input that the command has, as far as this side knows: what others wrote before, and what was sent.
  let inputBytes = 0
  let inputEnded = false
  let finished = false
  let iterated = false
  let held = false
  let droppedAt: number | undefined
  let lastDrop: GibilError | undefined
  let pauseMs = firstPauseMs
  const started = Promise.withResolvers<Job>()
  const exit = Promise.withResolvers<Exit>()
  let connected = Promise.withResolvers<WebSocket>()
  let isConnected = false
  for (const promise of [exit.promise, connected.promise, started.promise]) promise.catch(() => {})

  const queue = createQueue<CommandOutput>({
    limit: queueBytes,
    onFull: () => {
      held = true
      socket?.pause()
    },
    onDrained: () => {
      held = false
      socket?.resume()
    },
    onReturn: () => detach(),
  })

  const stdin = new Writable({
    highWaterMark: 4 * inputChunkBytes,
    write(chunk: Buffer, _encoding, callback) {
      sendInput(chunk).then(() => callback(), callback)
    },
    final(callback) {
      sendFrame(encodeFrame(FrameType.stdinEnd)).then(() => {
        inputEnded = true
        callback()
      }, callback)
    },
  })
  stdin.on('error', () => {})
  if ('attach' in open ? false : open.stdin !== true && !open.tty) stdin.destroy()

  function finish(outcome: { exit: Exit } | { error: GibilError }): void {
    if (finished) return
    finished = true
    signal?.removeEventListener('abort', onAbort)
    if ('exit' in outcome) {
      exit.resolve(outcome.exit)
      queue.end()
    } else {
      started.reject(outcome.error)
      exit.reject(outcome.error)
      connected.reject(outcome.error)
      queue.end(outcome.error)
    }
    stdin.destroy()
    socket?.close()
    // The answer to the close is only read by a socket that is not held back.
    socket?.resume()
  }

  const fail = (error: unknown): void => finish({ error: GibilError.from(error) })

  /** Sends, and when the connection is away waits until it is back. Rejects when it will not come back. */
  async function sendFrame(frame: Buffer): Promise<void> {
    for (;;) {
      const target = await connected.promise
      const sent = await sendOn(target, frame)
      if (sent) return
      await sleep(firstPauseMs)
      if (finished)
        await exit.promise.then(() => Promise.reject(new GibilError('wrong_state', 'The command has ended.')))
    }
  }

  async function sendInput(data: Buffer): Promise<void> {
    for (let at = 0; at < data.length; at += inputChunkBytes) {
      const piece = data.subarray(at, at + inputChunkBytes)
      await sendFrame(encodeFrame(FrameType.stdin, piece))
      inputBytes += piece.length
    }
  }

  function onAbort(): void {
    if (job && !finished)
      void sendFrame(encodeFrame(FrameType.signal, { signal: 'SIGKILL', group: true })).catch(() => {})
    // The frame above is queued by the time the socket is told to close.
    setImmediate(() =>
      fail(new GibilError('cancelled', 'The command was cancelled and killed.', { cause: signal?.reason })),
    )
  }

  function detach(): void {
    finish({
      error: new GibilError('cancelled', 'Detached; the command goes on.', {
        hint: `See it with its job id ${job?.id}.`,
      }),
    })
  }

  /** A command whose input has a hole, or would get a part twice, must not go on as if nothing had been. A person at a terminal sees it. */
  function inputIsWhole({ id, tty, inputBytes: came }: Job): boolean {
    if (tty || came === undefined || came === inputBytes) return true
    const message = `The connection was lost while input was sent: of ${inputBytes} bytes ${came} came to the command.`
    fail(new GibilError('interrupted', message, { hint: `Run it again; the old one is job ${id}, which still waits.` }))
    return false
  }

  function onFrame({ type, payload }: Frame, from: WebSocket): void {
    if (type === FrameType.stdout || type === FrameType.stderr) {
      offset += payload.length
      queue.push({ stream: type === FrameType.stdout ? 'stdout' : 'stderr', data: payload }, payload.length)
    } else if (type === FrameType.started) {
      const frame = Started.parse(JSON.parse(payload.toString()))
      if ((job || askedOffset !== undefined) && frame.offset > offset) lost += frame.offset - offset
      offset = frame.offset
      const cameBack = job !== undefined
      job = frame.job
      if (!cameBack) inputBytes = job.inputBytes ?? 0
      else if (!inputIsWhole(job)) return
      droppedAt = undefined
      pauseMs = firstPauseMs
      connected.resolve(from)
      isConnected = true
      if (lastSize) void resize(lastSize).catch(() => {})
      // It may have been lost as well, and can be said twice.
      if (cameBack && inputEnded && !job.tty) void sendFrame(encodeFrame(FrameType.stdinEnd)).catch(() => {})
      started.resolve(job)
    } else if (type === FrameType.gap) {
      const gap = Gap.parse(JSON.parse(payload.toString()))
      lost += gap.to - Math.max(gap.from, offset)
      offset = gap.to
    } else if (type === FrameType.exit) {
      finish({ exit: Exit.parse(JSON.parse(payload.toString())) })
    } else if (type === FrameType.error) {
      const error = GibilError.fromBody(JSON.parse(payload.toString()), 'The command stream failed.')
      if (job && isDrop(error)) lastDrop = error
      else fail(error)
    }
  }

  /** One connection from its opening message to its end; resolves when it has ended, for whatever reason. */
  async function connect(message: OpenCommand): Promise<void> {
    const opened = await openWebSocket(transport, path, { signal })
    if (finished) return opened.terminate()
    socket = opened
    const closed = new Promise<void>((resolve) => opened.once('close', resolve))
    opened.on('message', (data: Buffer) => {
      try {
        if (!finished) onFrame(decodeFrame(data), opened)
      } catch (error) {
        fail(GibilError.from(error, 'boxd_protocol'))
      }
    })
    if (!held) opened.resume()
    opened.send(JSON.stringify(message))
    // A connection that ends before it began to work must not hang whoever waits for it.
    void closed.then(() => {
      if (!job)
        fail(new GibilError('interrupted', 'The connection was lost before the command began; it may or may not run.'))
    })
    await closed
  }

  /** Opens, and after a drop attaches again from the offset, until the command has ended or the time for that is over. */
  async function keepConnected(): Promise<void> {
    let message = open
    while (!finished) {
      try {
        await connect(message)
      } catch (error) {
        if (!job || !isDrop(error)) throw error
        lastDrop = error
      }
      if (finished || !job) return
      droppedAt ??= Date.now()
      if (Date.now() - droppedAt >= reattachMs) {
        throw lastDrop ?? new GibilError('interrupted', 'The connection was lost; the command may go on.')
      }
      // Whoever waits already waits for the next connection, however many tries it takes.
      if (isConnected) {
        isConnected = false
        connected = Promise.withResolvers<WebSocket>()
        connected.promise.catch(() => {})
      }
      message = { attach: job.id, offset }
      await sleep(pauseMs)
      pauseMs = Math.min(pauseMs * 2, 2000)
    }
  }

  async function resize(size: TtySize): Promise<void> {
    lastSize = size
    if (!finished) await sendFrame(encodeFrame(FrameType.resize, size))
  }

  function iterate(): AsyncIterator<CommandOutput> & AsyncIterable<CommandOutput> {
    iterated = true
    return queue.iterate()
  }

  signal?.addEventListener('abort', onAbort, { once: true })
  keepConnected().catch(fail)
  const first = await started.promise

  return {
    job: first,
    exit: exit.promise,
    stdin,
    get offset() {
      return offset
    },
    get lost() {
      return lost
    },
    resize,
    kill: (name = 'SIGTERM') => sendFrame(encodeFrame(FrameType.signal, { signal: name, group: true })),
    detach,
    async wait() {
      if (!iterated) for await (const _ of iterate());
      return exit.promise
    },
    [Symbol.asyncIterator]: iterate,
  }
}
