import { resolve } from 'node:path'
import { GibilError } from '@gibil/sdk'
import { saveAs } from '../output/save-as.ts'
import type { Session } from '../session.ts'
import { write } from '../streaming.ts'

const pageBytes = 1024 * 1024
const waitMs = 20_000

export async function logs(session: Session, ref: string, flags: { follow?: boolean; cast?: string }): Promise<void> {
  if (flags.cast !== undefined) return cast(session, ref, flags.cast)
  const { id } = await session.gibil.sessions.get(ref, { signal: session.signal })
  await printOutput(session, id, { follow: flags.follow === true })
}

async function cast(session: Session, ref: string, file: string): Promise<void> {
  const chunks = await session.gibil.sessions.recording(ref, { signal: session.signal })
  if (file !== '-') {
    const bytes = await saveAs(resolve(session.cwd, file), chunks)
    session.emit({ file, bytes }, '')
    session.note(`${session.colors.green('✓')} ${file}, ${bytes} bytes\n  next: asciinema play ${file}\n`)
  } else for await (const chunk of chunks) await write(session.stdout, chunk)
}

/** Prints what a session printed; with `follow` until it has ended or the signal says so, also when the daemon is away for a while. */
export async function printOutput(
  session: Session,
  id: string,
  { follow, signal = session.signal }: { readonly follow: boolean; readonly signal?: AbortSignal },
): Promise<void> {
  let offset = 0
  for (;;) {
    const page = await session.gibil.sessions
      .output(id, { offset, limit: pageBytes, waitMs: follow ? waitMs : 0, signal })
      .catch((error: unknown) => {
        if (signal.aborted && GibilError.is(error)) return undefined
        throw error
      })
    if (!page) return
    if (page.lost > 0) session.note(`[${page.lost} bytes are not kept]\n`)
    await write(session.stdout, session.json ? `${JSON.stringify(page)}\n` : page.text)
    if (page.done || (!follow && page.text === '')) return
    offset = page.nextOffset
  }
}
