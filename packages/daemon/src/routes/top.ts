import { type Box, GibilError, type TopEntry } from '@gibil/contract'
import type { Api } from '../api.ts'
import { asGibilError } from '../http/errors.ts'

const atOnce = 8
const deadlineMs = 2000

/** Asks every running box, eight at a time, each for at most 2 s: one that hangs is told of and holds up nobody. */
export async function readTop(api: Pick<Api, 'plane' | 'boxd'>, signal: AbortSignal): Promise<TopEntry[]> {
  const boxes = (await api.plane.list()).filter((box) => box.status === 'running')
  const entries: TopEntry[] = []
  const queue = boxes.entries()
  const worker = async (): Promise<void> => {
    for (const [index, box] of queue) entries[index] = await ask(api, box, signal)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, boxes.length) }, worker))
  return entries
}

async function ask({ boxd }: Pick<Api, 'boxd'>, box: Box, signal: AbortSignal): Promise<TopEntry> {
  const { id, name, shape } = box
  const late = new AbortController()
  const timer = setTimeout(
    () => late.abort(new GibilError('timeout', `The box ${name} did not answer within ${deadlineMs / 1000} s.`)),
    deadlineMs,
  )
  const either = AbortSignal.any([signal, late.signal])
  try {
    return { id, name, shape, metrics: await boxd(id, either, { quiet: true }).metrics(), failure: null }
  } catch (error) {
    signal.throwIfAborted()
    const { code, message, hint } = asGibilError(error, either)
    return { id, name, shape, metrics: null, failure: { code, message, hint } }
  } finally {
    clearTimeout(timer)
  }
}
