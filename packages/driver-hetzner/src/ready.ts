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
  'tail -n +1 -F /var/log/cloud-init-output.log 2>/dev/null & follower=$!',
  'cloud-init status --wait >/dev/null 2>&1; status=$?',
  'sleep 0.2; kill $follower 2>/dev/null; exit $status',
].join('\n')
const followCloudInit = `sudo -n sh -c '${script}'`

const logLines = 40

/**
 * Waits until the machine is what it is to be: its own key shown, cloud-init done (its lines are told as they come), boxd answering.
 * Throws `host_key_mismatch`, `timeout`, `driver_failed` when cloud-init failed, `boxd_unreachable`, `cancelled`.
 */
export async function untilReady(
  context: Context,
  { id, deadline = null }: DriverSpec,
  link: Link,
  options: DriverOptions,
): Promise<void> {
  const { bootMs, log } = context
  const limit = AbortSignal.timeout(bootMs)
  const signal = options.signal ? AbortSignal.any([options.signal, limit]) : limit
  const last: string[] = []
  const tell = (line: string): void => {
    last.push(line)
    if (last.length > logLines) last.shift()
    options.onLine?.(line)
  }
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
        details: { log: last.join('\n').slice(-4096) },
      })
    }
    if (status !== 0) log('warn', 'cloud-init has complaints', { box: id, status })
    const stream = await phase('boxd', () => link.dial(signal))
    stream.destroy()
  } catch (error) {
    if (!limit.aborted || options.signal?.aborted) throw error
    throw new GibilError('timeout', `Box ${id} was not ready within ${Math.round(bootMs / 1000)} s.`, {
      cause: error,
      details: { log: last.join('\n').slice(-4096) },
    })
  }
}
