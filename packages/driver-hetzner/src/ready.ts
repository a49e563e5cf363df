import { GibilError } from '@gibil/contract'
import type { DriverOptions, DriverSpec } from '@gibil/core'
import type { Context, Link } from './context.ts'
import { tellDeadline } from './deadline.ts'

/**
 * Prints what cloud-init prints until it is done; its exit status is that of `cloud-init status`: 1 failed, 2 done with complaints. As root: nobody else may read
 * that. It holds no single quote.
 */
const script = [
  'command -v cloud-init >/dev/null || exit 0',
  'cloud-init status --wait >/dev/null 2>&1 & waiter=$!',
  // It ends once that has ended and all is printed, however slow the machine is.
  'tail -n +1 -s 0.1 --pid=$waiter -F /var/log/cloud-init-output.log 2>/dev/null',
  'wait $waiter; exit $?',
].join('\n')
const followCloudInit = `sudo -n sh -c '${script}'`

const logLines = 40

interface SetUp {
  readonly id: string
  /** Seconds since 1970; null: none. */
  readonly deadline: number | null
  /** How long all of it may take. */
  readonly limitMs: number
}

/**
 * Waits until the machine is what it is to be: its own key shown, cloud-init done (its lines are told as they come), boxd answering.
 * Throws as `untilSetUp`, and `boxd_unreachable`.
 */
export function untilReady(
  context: Context,
  { id, deadline = null }: DriverSpec,
  link: Link,
  options: DriverOptions,
): Promise<void> {
  return untilSetUp(context, { id, deadline, limitMs: context.bootMs }, link, options, async (signal) => {
    const begun = performance.now()
    const stream = await link.dial(signal)
    stream.destroy()
    options.trace?.('boxd', performance.now() - begun)
  })
}

/**
 * Waits until cloud-init is done in a machine that shows its own key, and then for what else is asked.
 * Throws `host_key_mismatch`, `timeout`, `driver_failed` when cloud-init failed, `cancelled`.
 */
export async function untilSetUp(
  { log }: Pick<Context, 'log'>,
  { id, deadline, limitMs }: SetUp,
  link: Link,
  options: DriverOptions,
  last: (signal: AbortSignal) => Promise<void> = async () => undefined,
): Promise<void> {
  const limit = AbortSignal.timeout(limitMs)
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit
  const lines: string[] = []
  const tell = (line: string): void => {
    lines.push(line)
    if (lines.length > logLines) lines.shift()
    options.onLine?.(line)
  }
  const endOfLog = (): string => lines.join('\n').slice(-4096)
  const phase = async <T>(name: string, task: () => Promise<T>): Promise<T> => {
    const begun = performance.now()
    const result = await task()
    options.trace?.(name, performance.now() - begun)
    return result
  }
  try {
    await phase('ssh', () => link.connected(signal))
    // A machine that was off while its lease was extended would switch itself off a minute after its boot.
    await tellDeadline(link, deadline, signal)
    const status = await phase('cloud-init', () => link.execLines(followCloudInit, tell, signal))
    if (status === 1) {
      throw new GibilError('driver_failed', `cloud-init failed in box ${id}.`, {
        hint: 'See the end of what it printed.',
        details: { log: endOfLog() },
      })
    }
    if (status !== 0) log('warn', 'cloud-init has complaints', { box: id, status })
    await last(signal)
  } catch (error) {
    if (!limit.aborted || options.signal?.aborted) throw error
    throw new GibilError('timeout', `Box ${id} was not ready within ${Math.round(limitMs / 1000)} s.`, {
      cause: error,
      details: { log: endOfLog() },
    })
  }
}
