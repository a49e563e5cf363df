import { resolve } from 'node:path'
import { type Session as AgentSession, GibilError } from '@gibil/sdk'
import { wholeNumber } from '../options/parse.ts'
import { clean } from '../output/text.ts'
import type { Session } from '../session.ts'
import { ensureWorkstation } from '../workstation.ts'
import { tellEnd } from './describe.ts'
import { type Brought, bring } from './result.ts'
import { repositoryOf, resultFlags, type StartFlags, startOptions } from './start-options.ts'
import { readTasks, type Task } from './tasks.ts'

interface Outcome {
  readonly task: string
  readonly session: AgentSession | null
  readonly brought: Brought | null
  readonly error: string | null
}

/** Runs a session for each task of a file, so many at once. Those that run go on when this is interrupted. Status 1 unless all were done. */
export async function startMany(session: Session, file: string, flags: StartFlags): Promise<number> {
  if (flags.box !== undefined || flags.name !== undefined || flags.resultBranch !== undefined) {
    throw new GibilError('invalid_request', 'Each task of a file has a box and a branch of its own.', {
      hint: 'Leave out --box, --name and --result-branch; a task may say name and resultBranch.',
    })
  }
  if (flags.patch === '-') {
    throw new GibilError('invalid_request', 'Patches of several sessions cannot share stdout.', {
      hint: 'Leave out --patch for branches, or give a name: --patch work.patch gives work-1.patch, …',
    })
  }
  const tasks = await readTasks(resolve(session.cwd, file))
  const lanes = flags.concurrency === undefined ? 3 : wholeNumber(flags.concurrency, 'a number of sessions', 1)
  // Once, before they are in each other's way.
  await ensureWorkstation(session, flags)
  const outcomes: Outcome[] = []
  const waiting = tasks.entries()
  const lane = async (): Promise<void> => {
    for (const [index, task] of waiting) {
      if (session.signal.aborted) return
      outcomes[index] = await runOne(session, task, index, flags)
    }
  }
  await Promise.all(Array.from({ length: Math.min(lanes, tasks.length) }, lane))
  const ran = outcomes.filter(Boolean)
  session.emit(ran, () => (flags.detach ? ran.map(({ session: one }) => (one ? `${one.id}\n` : '')).join('') : ''))
  const done = ran.filter(({ session: one, error }) => error === null && (flags.detach || one?.outcome === 'done'))
  if (!flags.detach) session.note(`${done.length} of ${tasks.length} done\n`)
  return done.length === tasks.length ? 0 : 1
}

/** A failure of one does not hold up the others. */
async function runOne(session: Session, { task, ...own }: Task, index: number, given: StartFlags): Promise<Outcome> {
  const said = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined))
  const flags: StartFlags = { ...given, ...said }
  let one: AgentSession | null = null
  try {
    const { sessions } = session.gibil
    const { signal } = session
    one = await sessions.start(await startOptions(session, task, flags), { signal })
    session.note(`${session.colors.dim('·')} ${one.id} runs in ${clean(one.box.name)}: ${clean(task.slice(0, 60))}\n`)
    if (flags.detach) return { task, session: one, brought: null, error: null }
    one = await sessions.wait(one.id, { signal })
    tellEnd(session, one, true)
    const { patch, ...branch } = resultFlags(flags)
    const target = patch === undefined ? branch : { patch: patch.replace(/(\.[^./]*)?$/, `-${index + 1}$1`) }
    const brought = await bring(session, one, { ...target, dir: repositoryOf(flags) })
    return { task, session: one, brought: brought ?? null, error: null }
  } catch (error) {
    const { message, hint } = GibilError.from(error)
    session.note(`${session.colors.red('✗')} ${clean(task.slice(0, 60))}: ${clean(message)}\n  next: ${clean(hint)}\n`)
    return { task, session: one, brought: null, error: message }
  }
}
