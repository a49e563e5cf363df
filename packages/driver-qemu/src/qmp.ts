import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { GibilError } from '@gibil/contract'
import { parseJson } from '@gibil/host'
import { lineSplitter } from '@gibil/hostkit-client'
import * as z from 'zod'

/** The monitor of one machine (QEMU Machine Protocol, docs/interop/qmp-spec of QEMU). */
export interface Monitor {
  /** Throws `driver_failed` with QEMU's words, or when QEMU ends or does not answer in time. */
  run(command: string, args?: object): Promise<unknown>
  close(): void
}

interface MonitorOptions {
  /** How long QEMU may take to greet. */
  readonly greetingMs?: number
  /** How long each answer may take. */
  readonly answerMs?: number
  /** Ends the connection, also one that is being made. */
  readonly signal?: AbortSignal | undefined
}

const defaultAnswerMs = 10_000
/** In characters. The longest answer to what is asked here has some hundred. */
const longestLine = 1024 * 1024

const message = z.union([
  z.object({ QMP: z.unknown() }),
  z.object({ return: z.unknown() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }) }),
  z.object({ event: z.string() }),
])
type Message = z.infer<typeof message>

/** Connects and waits until QEMU is ready for commands. */
export async function openMonitor(path: string, options: MonitorOptions = {}): Promise<Monitor> {
  const { answerMs = defaultAnswerMs, greetingMs = answerMs, signal } = options
  const socket = createConnection({ path, ...(signal ? { signal } : {}) })
  try {
    await once(socket, 'connect')
  } catch (cause) {
    throw new GibilError('driver_failed', 'QEMU cannot be asked: it has ended.', { cause })
  }
  const messages = readMessages(socket)
  const next = async (): Promise<Message> => {
    const { value, done } = await messages.next()
    if (done) throw new GibilError('driver_failed', 'QEMU ended, or hung, while it was asked.')
    return value
  }
  /** The limit is for all of it: a stream of events is no answer. */
  const within = async <T>(limitMs: number, work: () => Promise<T>): Promise<T> => {
    const timer = setTimeout(() => socket.destroy(new Error(`no answer for ${limitMs / 1000} s`)), limitMs)
    try {
      return await work()
    } finally {
      clearTimeout(timer)
    }
  }
  const run = (command: string, args: object = {}): Promise<unknown> =>
    within(answerMs, async () => {
      socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`)
      for (;;) {
        const answer = await next()
        if ('return' in answer) return answer.return
        if ('error' in answer) {
          throw new GibilError('driver_failed', `QEMU refused ${command}: ${answer.error.desc}`, {
            details: { command },
          })
        }
      }
    })
  try {
    const greeting = await within(greetingMs, next)
    if (!('QMP' in greeting)) throw new GibilError('driver_failed', 'QEMU did not greet as a monitor does.')
    await run('qmp_capabilities')
  } catch (error) {
    socket.destroy()
    throw error
  }
  return { run, close: () => void socket.destroy() }
}

/** Opens the monitor for one piece of work. */
export async function withMonitor<T>(
  path: string,
  work: (monitor: Monitor) => Promise<T>,
  options: MonitorOptions = {},
): Promise<T> {
  const monitor = await openMonitor(path, options)
  try {
    return await work(monitor)
  } finally {
    monitor.close()
  }
}

/**
 * A box's process may have been taken over by its guest, so what comes is checked; what is no message, or has no end, ends the connection. No more is
 * read than is asked for.
 */
async function* readMessages(socket: Socket): AsyncGenerator<Message, void> {
  const lines: string[] = []
  let endless = false
  const split = lineSplitter(
    longestLine,
    (line) => lines.push(line),
    () => {
      endless = true
    },
  )
  socket.setEncoding('utf8')
  try {
    for await (const chunk of socket) {
      split(String(chunk))
      for (const line of lines.splice(0)) {
        const parsed = message.safeParse(parseJson(line))
        if (!parsed.success) return
        yield parsed.data
      }
      if (endless) return
    }
  } catch {
    // The connection broke: the same as its end.
  }
}
