import { type BoxdClient, createBoxdClient } from '@gibil/boxd-client'
import { GibilError } from '@gibil/contract'
import type { DriverOptions } from '@gibil/core'
import type { Context } from './context.ts'
import { dialBoxd } from './control.ts'
import type { Machine } from './names.ts'

/** Docker alone takes half a minute under emulation on a busy host. */
const limitMs = 300_000
const askMs = 5000
const outputKept = 4096

/** systemctl(1): what it says when start-up is over. */
const over = ['running', 'degraded']

interface Ran {
  readonly exitCode: number
  readonly output: string
}

/**
 * Waits until the init of a machine says that its start-up is over. A machine in which a service failed is a box all the same, which is told and no
 * more. Throws `driver_failed` when it takes too long.
 */
export async function awaitStartUp(context: Context, machine: Machine, options: DriverOptions): Promise<void> {
  const boxd = boxdOf(context, machine, options)
  const { output } = await runIn(boxd, ['systemctl', 'is-system-running', '--wait'], limitMs)
  const state = output.trim().split('\n').at(-1) ?? ''
  if (!over.includes(state)) {
    throw new GibilError('driver_failed', `The start-up of box ${machine.id} did not come to an end: ${state}.`)
  }
  if (state === 'running') return
  const failed = await runIn(boxd, ['systemctl', 'list-units', '--failed', '--plain', '--no-legend'], limitMs)
  context.log('warn', 'not all services of a machine started', { id: machine.id, failed: failed.output })
}

/** Boxes that run commands of root before they are handed out. */
export const boxdOf = (context: Context, machine: Machine, { signal }: DriverOptions = {}): BoxdClient =>
  createBoxdClient((ended) => dialBoxd(context, machine, ended), { signal, answerMs: 30_000 })

/** Runs a command as root to its end. Throws `driver_failed` when that does not come in time. */
export async function runIn(
  boxd: BoxdClient,
  argv: readonly string[],
  timeoutMs: number,
  onOutput: (text: string) => void = () => undefined,
): Promise<Ran> {
  const { id } = await boxd.startJob({ argv: [...argv], user: 'root', cwd: '/', timeoutMs })
  for (let offset = 0, said = ''; ; ) {
    const { exit, chunks, nextOffset } = await boxd.jobOutput(id, { offset, waitMs: askMs })
    offset = nextOffset
    const text = chunks.map((chunk) => chunk.text).join('')
    if (text !== '') onOutput(text)
    said = (said + text).slice(-outputKept)
    if (exit === null) continue
    await boxd.forgetJob(id)
    if (exit.exitCode === null) {
      throw new GibilError('driver_failed', `${argv[0]} did not end within ${timeoutMs / 1000} s: ${said.slice(-500)}`)
    }
    return { exitCode: exit.exitCode, output: said }
  }
}
