import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { GibilError } from '@gibil/contract'
import { parseJson } from '@gibil/host'
import * as z from 'zod'

/** The monitor of one machine (QEMU Machine Protocol, docs/interop/qmp-spec of QEMU). */
export interface Monitor {
  /** Throws `driver_failed` with QEMU's words, or when QEMU ends or does not answer in time. */
  run(command: string, args?: object): Promise<unknown>
  close(): void
}

const answerMs = 10_000

const message = z.union([
  z.object({ QMP: z.unknown() }),
  z.object({ return: z.unknown() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }) }),
  z.object({ event: z.string() }),
])
type Message = z.infer<typeof message>

/** Connects and waits until QEMU is ready for commands. `greetingMs`: how long QEMU may take to start. */
export async function openMonitor(path: string, greetingMs = answerMs): Promise<Monitor> {
  const socket = createConnection({ path })
  try {
    await once(socket, 'connect')
  } catch (cause) {
    throw new GibilError('driver_failed', 'QEMU cannot be asked: it has ended.', { cause })
  }
  const messages = readMessages(socket)
  const next = async (limitMs: number): Promise<Message> => {
    const timer = setTimeout(() => socket.destroy(new Error(`QEMU said nothing for ${limitMs / 1000} s`)), limitMs)
    try {
      const { value, done } = await messages.next()
      if (done) throw new GibilError('driver_failed', 'QEMU ended, or hung, while it was asked.')
      return value
    } finally {
      clearTimeout(timer)
    }
  }
  const run = async (command: string, args: object = {}): Promise<unknown> => {
    socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`)
    for (;;) {
      const answer = await next(answerMs)
      if ('return' in answer) return answer.return
      if ('error' in answer) {
        throw new GibilError('driver_failed', `QEMU refused ${command}: ${answer.error.desc}`, { details: { command } })
      }
    }
  }
  try {
    const greeting = await next(greetingMs)
    if (!('QMP' in greeting)) throw new GibilError('driver_failed', 'QEMU did not greet as a monitor does.')
    await run('qmp_capabilities')
  } catch (error) {
    socket.destroy()
    throw error
  }
  return { run, close: () => void socket.destroy() }
}

/** Opens the monitor for one piece of work. */
export async function withMonitor<T>(path: string, work: (monitor: Monitor) => Promise<T>): Promise<T> {
  const monitor = await openMonitor(path)
  try {
    return await work(monitor)
  } finally {
    monitor.close()
  }
}

/** A box's process may have been taken over by its guest, so what comes is checked; what is no message ends the connection. */
async function* readMessages(socket: Socket): AsyncGenerator<Message, void> {
  try {
    for await (const line of createInterface({ input: socket })) {
      const parsed = message.safeParse(parseJson(line))
      if (!parsed.success) return
      yield parsed.data
    }
  } catch {
    // The connection broke: the same as its end.
  }
}
