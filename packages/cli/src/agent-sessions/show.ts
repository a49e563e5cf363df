import { type Session as AgentSession, formatBytes, formatDuration } from '@gibil/sdk'
import { clean, table } from '../output/text.ts'
import type { Session } from '../session.ts'
import { describeEnd } from './describe.ts'

/** Quiet for less than this is work as usual. */
const quietSeconds = 10

export async function list(session: Session, flags: { running?: boolean; quiet?: boolean }): Promise<void> {
  const all = await session.gibil.sessions.list({ signal: session.signal })
  const shown = flags.running ? all.filter(({ state }) => state !== 'ended') : all
  if (shown.length === 0) session.note('No sessions. Start one: gibil session start --repo . --agent claude "<task>"\n')
  session.emit(shown, () => {
    if (flags.quiet) return shown.map(({ id }) => `${id}\n`).join('')
    return shown.length === 0 ? '' : sessionTable(shown, session)
  })
}

function sessionTable(sessions: readonly AgentSession[], { colors }: Session): string {
  const rows = sessions.map((one) => [
    one.id,
    one.box.name,
    one.agent.slice(0, 24),
    stateOf(one),
    timeOf(one),
    (one.lastLines.split('\n').at(-1) ?? '').slice(0, 40) || '-',
    one.task.slice(0, 60),
  ])
  return table(['SESSION', 'BOX', 'AGENT', 'STATE', 'TIME', 'LAST LINE', 'TASK'], rows, colors.dim)
}

/** What a session does. Whether one that is quiet thinks, hangs or waits for an answer is for who looks to say: its last line is beside it. */
function stateOf(session: AgentSession): string {
  if (session.state === 'ended' || session.state === 'ending') return describeEnd(session)
  const quiet = session.quietSeconds ?? 0
  return quiet >= quietSeconds ? `quiet for ${formatDuration(Math.floor(quiet) * 1000)}` : session.state
}

function timeOf({ startedAt, endedAt }: AgentSession): string {
  if (startedAt === null) return '-'
  return formatDuration((endedAt === null ? Date.now() : Date.parse(endedAt)) - Date.parse(startedAt))
}

export async function show(session: Session, ref: string): Promise<void> {
  const one = await session.gibil.sessions.get(ref, { signal: session.signal })
  session.emit(one, () => details(one))
}

function details(one: AgentSession): string {
  const { result, failure } = one
  const rows: [string, string][] = [
    ['session', one.id],
    ['box', `${one.box.name} (${one.box.id}), at the end: ${one.onEnd}`],
    ['agent', one.agent],
    ['task', one.task],
    ['state', `${stateOf(one)}, ${timeOf(one)}`],
    ['given', one.envNames.join(' ') || 'no variables'],
    ['timeout', one.timeoutSeconds === null ? 'none' : formatDuration(one.timeoutSeconds * 1000)],
    ['printed', formatBytes(one.outputBytes)],
    ['result', result ? `${result.commits} commits, patch of ${formatBytes(result.patchBytes)}` : 'nothing'],
  ]
  if (failure) rows.push(['failure', `${failure.message} ${failure.hint}`])
  const facts = rows.map(([name, value]) => `${name.padEnd(9)}${clean(value)}\n`).join('')
  return one.lastLines === '' ? facts : `${facts}\n${one.lastLines.split('\n').map(clean).join('\n')}\n`
}

export async function stop(session: Session, ref: string): Promise<void> {
  const one = await session.gibil.sessions.stop(ref, { signal: session.signal })
  session.emit(one, '')
  session.note(`${session.colors.green('✓')} ${one.id}: ${describeEnd(one)}\n`)
  if (one.result) session.note(`  next: gibil session result ${one.id}\n`)
}

export async function remove(session: Session, refs: string[]): Promise<void> {
  const removed: AgentSession[] = []
  for (const ref of refs) removed.push(await session.gibil.sessions.remove(ref, { signal: session.signal }))
  session.emit(removed, '')
  for (const { id } of removed) session.note(`${session.colors.green('✓')} ${id} is forgotten\n`)
}
