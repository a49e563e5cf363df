import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { GibilError } from '@gibil/contract'
import * as z from 'zod'
import { hostkitFailure } from './failure.ts'

const Answer = z.object({
  id: z.number(),
  ok: z.boolean(),
  result: z.unknown().optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
})

interface Pending {
  readonly op: string
  readonly settle: (answer: z.infer<typeof Answer>) => void
  readonly fail: (error: GibilError) => void
}

/** How much of what hostkit complains is kept for the error when it ends. */
const complaintLimit = 4096

/** One running hostkit: requests by number, answers in any order. */
export interface HostkitProcess {
  readonly alive: boolean
  call(op: string, args: object): Promise<unknown>
  /** Ends it by closing its input; settles when it is gone. */
  close(): Promise<void>
}

export function startHostkit(binary: string): HostkitProcess {
  const child = spawn(binary, ['serve'], { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' })
  const pending = new Map<number, Pending>()
  let lastId = 0
  let alive = true
  let complaint = ''

  const end = (why: string, cause?: unknown): void => {
    alive = false
    for (const [id, call] of pending) {
      pending.delete(id)
      call.fail(
        new GibilError('driver_failed', `hostkit ended during ${call.op}: ${why}.`, {
          hint: 'Try again: it is started anew. If that repeats, see the daemon log.',
          cause,
          details: { stderr: complaint },
        }),
      )
    }
  }
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      end(`${binary} could not be started`, error)
      resolve()
    })
    child.once('close', (code, signal) => {
      end(`it exited with ${signal ?? code}`)
      resolve()
    })
  })
  child.stdin.on('error', () => undefined)
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-complaintLimit)
  })
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = Answer.safeParse(parseJson(line))
    const call = answer.success ? pending.get(answer.data.id) : undefined
    if (!answer.success || !call) return
    pending.delete(answer.data.id)
    holdOpen(child, pending.size > 0)
    call.settle(answer.data)
  })
  holdOpen(child, false)

  return {
    get alive() {
      return alive
    },
    call(op, args) {
      return new Promise((resolve, reject) => {
        if (!alive) {
          reject(new GibilError('driver_failed', `hostkit is not running; ${op} was not done.`))
          return
        }
        lastId += 1
        const settle: Pending['settle'] = (answer) =>
          answer.ok
            ? resolve(answer.result)
            : reject(hostkitFailure(op, answer.error?.code ?? 'failed', answer.error?.message ?? 'no reason given'))
        pending.set(lastId, { op, settle, fail: reject })
        holdOpen(child, true)
        child.stdin.write(`${JSON.stringify({ id: lastId, op, args })}\n`)
      })
    },
    async close() {
      holdOpen(child, true)
      child.stdin.end()
      await gone
    },
  }
}

/** Idle, the child must not keep the process of its owner alive; with an answer owed, it must. */
function holdOpen(child: ChildProcess, hold: boolean): void {
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
