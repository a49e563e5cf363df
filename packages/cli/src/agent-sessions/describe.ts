import type { Session as AgentSession } from '@gibil/sdk'
import { clean } from '../output/text.ts'
import type { Session } from '../session.ts'
import { statusOf } from '../streaming.ts'

/** How a session ended, in a few words. */
export function describeEnd({ outcome, exit }: AgentSession): string {
  if (outcome === 'failed' && exit) return `failed: ${exit.signal ?? `exit ${exit.exitCode}`}`
  if (outcome === 'timed-out') return 'ended at its timeout'
  return outcome ?? 'ending'
}

/** The exit status that stands for it; what was lost has none of its own. */
export const exitStatusOf = ({ exit, outcome }: AgentSession): number =>
  exit && outcome !== 'lost' ? statusOf(exit) : 1

/** Says how a session ended; of one that did not do its task also its last lines. */
export function tellEnd(session: Session, one: AgentSession, lines: boolean): void {
  const done = one.outcome === 'done'
  const sign = done ? session.colors.green('✓') : session.colors.red('✗')
  session.note(`${sign} ${one.id} in ${clean(one.box.name)}: ${describeEnd(one)}\n`)
  if (!done && lines && one.lastLines !== '') {
    for (const line of one.lastLines.split('\n')) session.note(session.colors.dim(`  │ ${clean(line)}\n`))
  }
  if (one.failure) session.note(`  ${clean(one.failure.message)}\n  next: ${clean(one.failure.hint)}\n`)
}
