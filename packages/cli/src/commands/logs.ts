import { type BoxHandle, type Exit, GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { wholeNumber } from '../options/parse.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { write } from '../streaming.ts'

interface Flags {
  readonly follow?: boolean
  readonly offset?: string
  readonly job?: string
  readonly console?: boolean
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('[job]', 'job id; without it, what the set-up of the box printed')
    .option('--job <id>', 'the same as an option')
    .option('--console', 'what the kernel of the box printed of late, for shapes that have one')
    .option('-f, --follow', 'go on until it has ended')
    .option('--offset <bytes>', 'skip so many bytes')
    .addHelpText(
      'after',
      '\nWith --json each part is a line: {stream, offset, text} of a job, {text, nextOffset, done} of the set-up.',
    )
    .action(action(cli, logs))
}

async function logs(session: Session, ref: string, given: string | undefined, flags: Flags): Promise<void> {
  const job = given ?? flags.job
  const box = session.gibil.box(ref)
  const offset = flags.offset === undefined ? undefined : wholeNumber(flags.offset, 'an offset in bytes')
  if (flags.console) await consoleLog(session, box)
  else if (job === undefined) await setupLog(session, box, offset ?? 0, flags.follow === true)
  else await jobLog(session, box, job, offset, flags.follow === true)
}

async function setupLog(session: Session, box: BoxHandle, from: number, follow: boolean): Promise<void> {
  const { signal } = session
  let printed = false
  const show = async (page: { readonly text: string }): Promise<void> => {
    printed ||= page.text !== ''
    await write(session.stdout, session.json ? `${JSON.stringify(page)}\n` : page.text)
  }
  if (follow) for await (const page of box.followLog({ offset: from, signal })) await show(page)
  else {
    for (let offset = from; ; ) {
      const page = await box.log({ offset, signal })
      if (page.text !== '' || session.json) await show(page)
      if (page.nextOffset === offset) break
      offset = page.nextOffset
    }
  }
  if (!printed)
    session.note(`The set-up of ${box.ref} printed nothing. The output of a command: gibil logs ${box.ref} <job>\n`)
}

async function consoleLog(session: Session, box: BoxHandle): Promise<void> {
  const text = await box.console({ signal: session.signal })
  if (text === '') session.note(`The kernel of ${box.ref} printed nothing since the daemon listens.\n`)
  await write(session.stdout, session.json ? `${JSON.stringify({ text })}\n` : text)
}

const pageBytes = 1024 * 1024
const waitMs = 20_000

async function jobLog(
  session: Session,
  box: BoxHandle,
  id: string,
  from: number | undefined,
  follow: boolean,
): Promise<void> {
  let offset = from
  for (;;) {
    const page = await box.jobs
      .output(id, { offset, limit: pageBytes, waitMs: follow ? waitMs : 0, signal: session.signal })
      .catch(ended(session))
    if (!page) return
    if (page.lost > 0) session.note(`${page.lost} bytes are no longer kept\n`)
    for (const chunk of page.chunks) {
      if (session.json) await write(session.stdout, `${JSON.stringify(chunk)}\n`)
      else await write(chunk.stream === 'stdout' ? session.stdout : session.stderr, chunk.text)
    }
    const atEnd = page.chunks.length === 0
    offset = page.nextOffset
    if (atEnd && (!follow || page.exit)) return noteEnd(session, id, page.exit, follow)
  }
}

/** Ctrl-C ends the following, which is no failure. */
const ended = (session: Session) => (error: unknown) => {
  if (session.signal.aborted && GibilError.is(error)) return undefined
  throw error
}

function noteEnd(session: Session, id: string, exit: Exit | null, follow: boolean): void {
  if (exit) session.note(session.colors.dim(`${id} ended: ${exit.signal ?? `exit ${exit.exitCode}`}\n`))
  else if (!follow) session.note(session.colors.dim(`${id} still runs; --follow goes on\n`))
}
