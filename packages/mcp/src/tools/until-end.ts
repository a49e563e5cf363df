import { setTimeout as sleep } from 'node:timers/promises'
import type { BoxHandle, Exit, Job } from '@gibil/sdk'
import type { ToolCall } from '../tool.ts'

const askEveryMs = 5000
/** One that prints without a pause is not asked without a pause. */
const restMs = 200

/** Waits for the end of a job, for so many seconds at most, and reads none of its output. Null: it runs. */
export async function untilEnd(
  handle: BoxHandle,
  { id, outputBytes }: Job,
  seconds: number,
  { signal, say }: Pick<ToolCall, 'signal' | 'say'>,
): Promise<Exit | null> {
  const until = Date.now() + seconds * 1000
  let offset = outputBytes
  for (;;) {
    const waitMs = Math.min(askEveryMs, Math.ceil(until - Date.now()))
    if (waitMs <= 0 || signal.aborted) return null
    await handle.jobs.output(id, { offset, limit: 1, waitMs, signal })
    const job = await handle.jobs.get(id, { signal })
    if (job.exit) return job.exit
    say(`running, ${job.outputBytes} bytes of output`)
    if (job.outputBytes > offset) await sleep(Math.min(restMs, Math.max(1, until - Date.now())))
    offset = job.outputBytes
  }
}
