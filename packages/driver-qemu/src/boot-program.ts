import type { BoxdClient } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { Context } from './context.ts'

/** boxd ends the program after 120 s. */
const waitMs = 130_000
const askMs = 5000

/**
 * Waits for the program that an image has run in each boot. A box in which that fails is a box all the same, which is told and no more: what it was to start
 * is missing, and its output is that of the job.
 */
export async function awaitBootProgram(
  context: Pick<Context, 'log'>,
  id: string,
  boxd: Pick<BoxdClient, 'jobOutput' | 'forgetJob'>,
  job: string,
): Promise<void> {
  const deadline = performance.now() + waitMs
  try {
    for (let offset = 0, said = ''; performance.now() < deadline; ) {
      const { exit, chunks, nextOffset } = await boxd.jobOutput(job, { offset, waitMs: askMs })
      offset = nextOffset
      said = (said + chunks.map(({ text }) => text).join('')).slice(-4096)
      if (exit === null) continue
      if (exit.exitCode === 0) return await boxd.forgetJob(job)
      return context.log('warn', 'the boot program of an image failed', { id, ...exit, said })
    }
    context.log('warn', 'the boot program of an image does not end', { id })
  } catch (error) {
    if (!GibilError.is(error) || error.code === 'cancelled') throw error
    context.log('warn', 'the boot program of an image could not be waited for', { id, error: String(error) })
  }
}
