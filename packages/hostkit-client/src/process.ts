import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { GibilError } from '@gibil/contract'
import * as z from 'zod'
import { hostkitFailure, wrongAnswer } from './failure.ts'
import { lineSplitter } from './lines.ts'

const Answer = z.discriminatedUnion('ok', [
  z.object({ id: z.int(), ok: z.literal(true), result: z.unknown().optional() }),
  z.object({ id: z.int(), ok: z.literal(false), error: z.object({ code: z.string(), message: z.string() }) }),
])
type Answer = z.infer<typeof Answer>

/** Where the client tells what became of hostkit. */
export type HostkitLog = (
  level: 'debug' | 'info' | 'warn',
  message: string,
  facts: Readonly<Record<string, unknown>>,
) => void

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** This call may take as long as a box lives: nobody waits for it when all else is done. */
  readonly waits?: boolean
}

/** One running hostkit: requests by number, answers in any order. */
export interface HostkitProcess {
  readonly alive: boolean
  call(op: string, args: object, options?: CallOptions): Promise<unknown>
  /** Lets calls under way come to their end (watches apart), then ends hostkit; settles when it is gone. */
  close(): Promise<void>
}

interface Pending {
  readonly op: string
  readonly waits: boolean
  readonly settle: (answer: Answer) => void
  readonly fail: (error: GibilError) => void
}

/** How much of what hostkit complains is kept for the error when it ends, in characters. */
const complaintLimit = 4096
/** The longest answer is a list of everything that a host full of boxes has: some hundred KiB. */
const answerLimit = 16 * 1024 * 1024
const closeLimitMs = 10_000
const lastWordsMs = 200

export function startHostkit(binary: string, log: HostkitLog, onEnd: (error: GibilError) => void): HostkitProcess {
  const child = spawn(binary, ['serve'], { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' })
  const pending = new Map<number, Pending>()
  let lastId = 0
  let alive = true
  let closing = false
  let complaint = ''
  let quiet: (() => void) | undefined

  const busy = (): boolean => [...pending.values()].some(({ waits }) => !waits)
  const forget = (id: number): Pending | undefined => {
    const call = pending.get(id)
    pending.delete(id)
    if (!busy()) {
      holdOpen(child, false)
      quiet?.()
    }
    return call
  }
  const end = (error: GibilError): void => {
    if (!alive) return
    alive = false
    for (const id of [...pending.keys()]) forget(id)?.fail(error)
    if (!closing) onEnd(error)
  }
  const gone = new Promise<void>((resolve) => {
    child.once('error', (cause) => {
      end(notStarted(binary, cause))
      resolve()
    })
    child.once('close', (code, signal) => {
      end(
        closing
          ? new GibilError('interrupted', 'The daemon let go of hostkit before it was done.')
          : new GibilError('driver_failed', `hostkit ended unexpectedly (${signal ?? `exit status ${code}`}).`, {
              hint: 'Try again: it is started anew. If that repeats, see the daemon log.',
              details: { stderr: complaint },
            }),
      )
      resolve()
    })
  })
  // `close` waits for everybody who holds the pipes; a process that hostkit left behind must not make its end go unnoticed.
  const letGo = (): void => {
    child.stdout.destroy()
    child.stderr.destroy()
  }
  child.once('exit', () => setTimeout(letGo, lastWordsMs).unref())
  // Both show as the end of the child.
  child.stdin.on('error', () => undefined)
  child.stdout.on('error', () => undefined)
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-complaintLimit)
    log('warn', 'hostkit complains', { text: text.slice(0, complaintLimit) })
  })
  const take = (line: string): void => {
    const answer = Answer.safeParse(parseJson(line))
    const call = answer.success ? forget(answer.data.id) : undefined
    if (!answer.success || !call) log('warn', 'hostkit sent an answer to nothing', { line: line.slice(0, 500) })
    else call.settle(answer.data)
  }
  child.stdout.setEncoding('utf8').on(
    'data',
    lineSplitter(answerLimit, take, () => {
      child.kill('SIGKILL')
      letGo()
    }),
  )
  holdOpen(child, false)

  const send = (op: string, args: object, options: CallOptions): { id: number; answer: Promise<unknown> } => {
    lastId += 1
    const id = lastId
    const answer = new Promise((resolve, reject) => {
      const settle = (given: Answer): void =>
        given.ok ? resolve(given.result) : reject(hostkitFailure(op, given.error.code, given.error.message))
      pending.set(id, { op, waits: options.waits === true, settle, fail: reject })
    })
    if (busy()) holdOpen(child, true)
    child.stdin.write(`${JSON.stringify({ id, op, args })}\n`)
    return { id, answer }
  }

  return {
    get alive() {
      return alive && !closing
    },
    async call(op, args, options = {}) {
      const { signal } = options
      if (signal?.aborted) throw cancelled(op, signal)
      if (!alive || closing) throw new GibilError('driver_failed', `hostkit is not running; ${op} was not done.`)
      const { id, answer } = send(op, args, options)
      // The answer is waited for all the same: then the host has really let go of it.
      const cancel = (): void => {
        if (alive) send('cancel', { id }, {}).answer.catch(() => undefined)
      }
      signal?.addEventListener('abort', cancel, { once: true })
      try {
        return await answer
      } catch (error) {
        if (signal?.aborted && GibilError.is(error) && error.code === 'cancelled') throw cancelled(op, signal)
        throw error
      } finally {
        signal?.removeEventListener('abort', cancel)
      }
    },
    async close() {
      closing = true
      holdOpen(child, true)
      if (alive && busy()) {
        await within(
          closeLimitMs,
          new Promise<void>((resolve) => {
            quiet = resolve
          }),
        )
        holdOpen(child, true)
      }
      child.stdin.end()
      if (await within(closeLimitMs, gone)) return
      child.kill('SIGKILL')
      await within(closeLimitMs, gone)
    },
  }
}

/** Parses an answer; throws `driver_failed` for one that does not fit. */
export function parseResult<T>(op: string, schema: z.ZodType<T>, result: unknown): T {
  const parsed = schema.safeParse(result)
  if (parsed.success) return parsed.data
  throw wrongAnswer(op, parsed.error)
}

function notStarted(binary: string, cause: Error): GibilError {
  const missing = 'code' in cause && cause.code === 'ENOENT'
  return new GibilError(missing ? 'missing_tool' : 'driver_failed', `hostkit (${binary}) could not be started.`, {
    hint: 'Run `./gibil up`, which builds it.',
    cause,
  })
}

function cancelled(op: string, signal: AbortSignal): GibilError {
  if (GibilError.is(signal.reason)) return signal.reason
  return new GibilError('cancelled', `${op} was cancelled.`, { cause: signal.reason })
}

/** Whether the promise settles within so many milliseconds. */
async function within(ms: number, promise: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false)
  })
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}

/** Idle, the child must not keep the process of its owner alive; with an answer owed, it must. */
function holdOpen(child: ChildProcessWithoutNullStreams, hold: boolean): void {
  if (hold) child.ref()
  else child.unref()
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    if (!(stream instanceof Socket)) continue
    if (hold) stream.ref()
    else stream.unref()
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
