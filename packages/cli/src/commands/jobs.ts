import { formatBytes, formatDuration, type Job } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { table } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .option('-r, --running', 'only those that run')
    .action(action(cli, jobs))
}

async function jobs(session: Session, ref: string, { running }: { running?: boolean }): Promise<void> {
  const all = await session.gibil.box(ref).jobs.list({ signal: session.signal })
  const shown = running ? all.filter((job) => job.exit === null) : all
  if (shown.length === 0)
    session.note(`No commands${running ? ' run' : ''} in ${ref}. Start one: gibil run ${ref} --detach -- <command>\n`)
  session.emit(shown, () => (shown.length === 0 ? '' : jobTable(shown, session)))
}

function jobTable(jobs: readonly Job[], { colors }: Pick<Cli, 'colors'>): string {
  const rows = jobs.map((job) => [
    job.id,
    stateOf(job),
    formatDuration(job.exit ? job.exit.durationMs : Date.now() - Date.parse(job.startedAt)),
    job.user,
    formatBytes(job.outputBytes),
    job.label || '-',
    job.argv.join(' ').slice(0, 80),
  ])
  return table(['JOB', 'STATE', 'TIME', 'USER', 'OUTPUT', 'LABEL', 'COMMAND'], rows, colors.dim)
}

function stateOf({ exit }: Job): string {
  if (exit === null) return 'running'
  if (exit.timedOut) return 'timed out'
  return exit.signal ?? `exit ${exit.exitCode}`
}
