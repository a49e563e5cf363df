import { type Session as AgentSession, GibilError } from '@gibil/sdk'
import { createProgress } from '../output/progress.ts'
import { clean } from '../output/text.ts'
import type { Session } from '../session.ts'
import { connectTerminal, isTerminal, sizeOf } from '../terminal.ts'
import { ensureWorkstation } from '../workstation.ts'
import { tellDetached } from './attach.ts'
import { exitStatusOf, tellEnd } from './describe.ts'
import { printOutput } from './logs.ts'
import { startMany } from './many.ts'
import { bring } from './result.ts'
import { repositoryOf, resultFlags, type StartFlags, startOptions } from './start-options.ts'

export async function start(session: Session, task: string | undefined, flags: StartFlags): Promise<number> {
  if (flags.from !== undefined) {
    if (task === undefined) return startMany(session, flags.from, flags)
    throw new GibilError('invalid_request', 'A task and a file of tasks are two things.', { hint: 'Give one of them.' })
  }
  if (task === undefined) {
    throw new GibilError('invalid_request', 'What is the agent to do?', {
      hint: 'gibil session start --repo . --agent claude "make the tests pass"',
    })
  }
  const progress = session.json ? undefined : createProgress(session, flags.name ?? 'session')
  let one: AgentSession
  try {
    const tty = isTerminal(session) ? sizeOf(session) : undefined
    const options = { ...(await startOptions(session, task, flags)), tty }
    if (typeof options.box !== 'string') await ensureWorkstation(session, options.box)
    one = await session.gibil.sessions.start(options, { onProgress: progress?.onProgress, signal: session.signal })
  } finally {
    progress?.end()
  }
  session.note(`${session.colors.green('✓')} ${one.id} runs in ${clean(one.box.name)}\n`)
  if (flags.detach) {
    session.emit(one, `${one.id}\n`)
    session.note(
      `  next: gibil session attach ${one.id}   gibil session logs ${one.id} -f   gibil session result ${one.id}\n`,
    )
    return 0
  }
  if (!(await follow(session, one))) return 0
  const end = await session.gibil.sessions.wait(one.id, { signal: session.signal })
  tellEnd(session, end, false)
  const brought = await bring(session, end, { ...resultFlags(flags), dir: repositoryOf(flags) })
  if (session.json) session.emit({ session: end, brought: brought ?? null }, '')
  return exitStatusOf(end)
}

/** Watches the agent until it has ended; false when it was left running. */
async function follow(session: Session, { id }: AgentSession): Promise<boolean> {
  if (session.json) return true
  const left = new AbortController()
  if (isTerminal(session)) {
    const end = await connectTerminal(await session.gibil.sessions.attach(id), session)
    if (end === 'detached') left.abort()
  } else {
    const release = session.onInterrupt(() => left.abort())
    try {
      await printOutput(session, id, { follow: true, signal: left.signal })
    } finally {
      release()
    }
  }
  if (left.signal.aborted) tellDetached(session, id)
  return !left.signal.aborted
}
