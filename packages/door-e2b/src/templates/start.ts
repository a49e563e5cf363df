import { setTimeout as sleep } from 'node:timers/promises'
import type { BoxdClient } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { Build } from './template.ts'

export type StartCommands = Pick<Build, 'startCmd' | 'readyCmd' | 'user' | 'workdir'>

/** How often it is asked whether a box is ready, and for how long at most. */
const everyMs = 2000
const readyMs = 10 * 60_000
/** For so long a command that is started may fail, where nothing says when it is ready. */
const settleMs = 500

const label = 'e2b-start'

/**
 * Starts the command of a template in a box, and resolves when its other command says that it is ready. A start command that has ended well by then
 * has done its work. Throws `service_failed`, with the end of what was printed as `log`.
 */
export async function startIn(
  boxd: (signal?: AbortSignal) => BoxdClient,
  { startCmd, readyCmd, user, workdir }: StartCommands,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const shared = { user, env, label, ...(workdir === null ? {} : { cwd: workdir }) }
  const shell = (command: string): string[] => ['/bin/bash', '-l', '-c', command]
  const job = startCmd === null ? undefined : await boxd(signal).startJob({ ...shared, argv: shell(startCmd) })
  const fail = async (message: string): Promise<never> => {
    throw new GibilError('service_failed', message, { details: { log: job ? await tailOf(boxd(signal), job.id) : '' } })
  }
  const checkStarted = async (): Promise<void> => {
    const exit = job && (await boxd(signal).getJob(job.id)).exit
    if (exit && exit.exitCode !== 0)
      await fail(`the start command ended with ${exit.exitCode ?? exit.signal}: ${startCmd}`)
  }
  if (readyCmd === null) {
    await sleep(settleMs, undefined, { signal })
    return checkStarted()
  }
  const deadline = Date.now() + readyMs
  for (;;) {
    const asked = Date.now()
    if ((await exitCodeOf(boxd, { ...shared, argv: shell(readyCmd), timeoutMs: deadline - asked }, signal)) === 0)
      return
    await checkStarted()
    if (Date.now() + everyMs >= deadline) await fail(`the ready command did not succeed within 10 minutes: ${readyCmd}`)
    await sleep(everyMs, undefined, { signal })
  }
}

/** Null when a signal ended it. */
async function exitCodeOf(
  boxd: (signal?: AbortSignal) => BoxdClient,
  request: Parameters<BoxdClient['startJob']>[0],
  signal: AbortSignal,
): Promise<number | null> {
  const { id } = await boxd(signal).startJob(request)
  for (let offset = 0; ; ) {
    const { exit, nextOffset } = await boxd(signal).jobOutput(id, { offset, waitMs: 20_000 })
    offset = nextOffset
    if (!exit) continue
    await boxd(signal).forgetJob(id)
    return exit.exitCode
  }
}

async function tailOf(boxd: BoxdClient, job: string): Promise<string> {
  const { chunks } = await boxd.jobOutput(job, {})
  return chunks
    .map(({ text }) => text)
    .join('')
    .slice(-4096)
}
