import { type Box, type BoxHandle, GibilError, type Wait } from '@gibil/sdk'
import type { ToolCall } from '../tool.ts'

const logBytes = 2000
const sayEveryMs = 5000

export interface Waited {
  readonly box: Box
  readonly ready: boolean
  /** The end of what set-up printed. */
  readonly setupLog: string
}

/** Waits for a box, for so many seconds at most. Throws the failure of its set-up, with what it printed. */
export async function untilReady(
  handle: BoxHandle,
  until: Wait,
  seconds: number,
  { signal, say }: Pick<ToolCall, 'signal' | 'say'>,
): Promise<Waited> {
  const limit = AbortSignal.timeout(Math.max(1, Math.round(seconds * 1000)))
  const started = Date.now()
  const told = setInterval(
    () => say(`waiting for ${until}, ${Math.round((Date.now() - started) / 1000)} s`),
    sayEveryMs,
  )
  let ready = true
  let box: Box
  try {
    box = await handle.wait(until, {
      signal: AbortSignal.any([limit, signal]),
      onProgress: ({ phase, message }) => say(message ?? phase),
    })
  } catch (error) {
    if (!limit.aborted || signal.aborted || (GibilError.is(error) && error.code !== 'cancelled')) throw error
    ready = false
    box = await handle.refresh()
  } finally {
    clearInterval(told)
  }
  return { box, ready, setupLog: await endOfLog(handle, box) }
}

async function endOfLog(handle: BoxHandle, { repo, readiness }: Box): Promise<string> {
  if (repo === null && readiness === 'ready') return ''
  // How long it is is not known beforehand: pages are read to the end, which is short for a set-up.
  let text = ''
  let offset = 0
  for (;;) {
    const page = await handle.log({ offset }).catch(() => undefined)
    if (!page || page.nextOffset === offset) return text.trim()
    text = (text + page.text).slice(-logBytes)
    offset = page.nextOffset
  }
}
