import type { CommandStream } from '@gibil/sdk'
import type { Session } from '../session.ts'
import { feed, pump, statusOf } from '../streaming.ts'
import { connectTerminal, isTerminal } from '../terminal.ts'

export async function attach(session: Session, ref: string, flags: { stdin?: boolean }): Promise<number> {
  const { id } = await session.gibil.sessions.get(ref, { signal: session.signal })
  const command = await session.gibil.sessions.attach(id)
  if (isTerminal(session)) {
    const end = await connectTerminal(command, session)
    if (end !== 'detached') return statusOf(end)
    tellDetached(session, id)
    return 0
  }
  return watch(session, id, command, flags.stdin === true)
}

/** Without a terminal: output as it comes, and input if it is wanted. An interrupt leaves the agent running. */
async function watch(session: Session, id: string, command: CommandStream, input: boolean): Promise<number> {
  let left = false
  const release = session.onInterrupt(() => {
    left = true
    command.detach()
  })
  try {
    if (input) feed(command, session)
    return statusOf(await pump(command, session))
  } catch (error) {
    if (!left) throw error
    tellDetached(session, id)
    return 0
  } finally {
    release()
  }
}

export const tellDetached = (session: Session, id: string): void =>
  session.note(
    `\nDetached. The agent goes on.\n  next: gibil session attach ${id}   gibil session logs ${id} -f   gibil session result ${id}\n`,
  )
