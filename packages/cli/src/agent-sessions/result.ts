import { resolve } from 'node:path'
import { type Session as AgentSession, GibilError } from '@gibil/sdk'
import { saveAs } from '../output/save-as.ts'
import { clean } from '../output/text.ts'
import type { Session } from '../session.ts'
import { write } from '../streaming.ts'

interface Flags {
  readonly branch?: string
  readonly patch?: string
}

export async function result(session: Session, ref: string, dir: string, flags: Flags): Promise<void> {
  if (flags.patch !== undefined && flags.branch !== undefined) {
    throw new GibilError('invalid_request', 'A patch and a branch are two things.', {
      hint: 'Give --patch or --branch.',
    })
  }
  const one = await session.gibil.sessions.get(ref, { signal: session.signal })
  if (one.state !== 'ended') {
    throw new GibilError('wrong_state', `The session ${one.id} has not ended.`, {
      hint: `Wait for it: gibil session logs ${one.id} --follow. What is there now: gibil pull ${one.box.name} --patch -`,
    })
  }
  const brought = await bring(session, one, { ...flags, dir })
  if (brought && flags.patch !== '-') session.emit(brought, `${brought.branch ?? ''}\n`)
}

export interface Brought {
  readonly commit: string
  readonly commits: number
  readonly branch?: string
  readonly patch?: string
}

/** Brings the work of a session into a repository here, or into a file. Undefined where it changed nothing. */
export async function bring(
  session: Session,
  one: AgentSession,
  { branch = `gibil/${one.box.name}`, patch, dir }: Flags & { readonly dir: string },
): Promise<Brought | undefined> {
  const { sessions } = session.gibil
  const { signal } = session
  if (!one.result) {
    session.note(`  It changed nothing${one.failure ? ' that is known' : ''}.\n`)
    return undefined
  }
  const { commit, commits } = one.result
  if (patch === undefined) {
    await sessions.branch(one.id, branch, resolve(session.cwd, dir), { signal })
    const count = `${commits} ${commits === 1 ? 'commit' : 'commits'}`
    session.note(`${session.colors.green('✓')} ${clean(branch)}: ${count}, ${commit.slice(0, 12)}\n`)
    session.note(`  next: git log ..${clean(branch)}   git merge ${clean(branch)}\n`)
    return { commit, commits, branch }
  }
  const chunks = await sessions.patch(one.id, { signal })
  if (patch === '-') for await (const chunk of chunks) await write(session.stdout, chunk)
  else {
    const bytes = await saveAs(resolve(session.cwd, patch), chunks)
    session.note(
      `${session.colors.green('✓')} ${patch}, ${bytes} bytes\n  next: git apply --stat ${patch}   git apply ${patch}\n`,
    )
  }
  return { commit, commits, patch }
}
