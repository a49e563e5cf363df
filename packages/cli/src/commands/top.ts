import { setTimeout as sleep } from 'node:timers/promises'
import { formatBytes, formatDuration, type TopEntry } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { milliseconds } from '../options/parse.ts'
import { table } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

interface Flags {
  readonly once?: boolean
  readonly every: string
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .option('-1, --once', 'one reading, as without a terminal')
    .option('--every <time>', 'how often to read', '2s')
    .action(action(cli, top))
}

async function top(session: Session, flags: Flags): Promise<void> {
  const pause = milliseconds(flags.every)
  const { stdout, signal } = session
  if (flags.once || session.json || stdout.isTTY !== true) {
    const entries = await session.gibil.top({ signal })
    if (entries.length === 0) session.note('No box runs. Create one: gibil create --name w --ttl 90m\n')
    session.emit(entries, () => (entries.length === 0 ? '' : topTable(entries, session)))
    return
  }
  // The alternate screen gives back what was there before.
  stdout.write('\u001b[?1049h\u001b[?25l')
  try {
    while (!signal.aborted) {
      const entries = await session.gibil.top({ signal })
      const head = `gibil top  ${new Date().toLocaleTimeString()}  ${entries.length} running, Ctrl-C ends\n\n`
      stdout.write(`\u001b[H\u001b[2J${head}${topTable(entries, session)}`)
      await sleep(pause, undefined, { signal })
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    stdout.write('\u001b[?25h\u001b[?1049l')
  }
}

function topTable(entries: readonly TopEntry[], { colors }: Session): string {
  const rows = entries.map(({ name, shape, metrics, failure }) =>
    metrics
      ? [
          name,
          shape,
          `${metrics.cpuPercent.toFixed(0)} %`,
          `${formatBytes(metrics.memoryBytes)}${metrics.memoryLimitBytes ? `/${formatBytes(metrics.memoryLimitBytes)}` : ''}`,
          `${formatBytes(metrics.diskBytes)}/${formatBytes(metrics.diskLimitBytes)}`,
          String(metrics.processes),
          formatDuration(metrics.uptimeMs),
        ]
      : [name, shape, failure?.message ?? 'no answer'],
  )
  return table(['NAME', 'SHAPE', 'CPU', 'MEMORY', 'DISK', 'PROCS', 'UP'], rows, colors.dim)
}
