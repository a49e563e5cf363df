import { type BoxHandle, GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { wholeNumber } from '../options/parse.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { feed, pump, statusOf } from '../streaming.ts'
import { connectTerminal, isTerminal } from '../terminal.ts'

interface Flags {
  readonly offset?: string
  readonly stdin?: boolean
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('[job]', 'job id; default: the newest that runs')
    .option('--offset <bytes>', 'skip so many bytes of its output (default: from the oldest kept)')
    .option('--stdin', 'pass input on')
    .addHelpText('after', '\nCtrl-C (in a terminal of its own Ctrl-]) leaves the command running.')
    .action(action(cli, attach))
}

async function attach(session: Session, ref: string, id: string | undefined, flags: Flags): Promise<number> {
  const box = session.gibil.box(ref)
  const job = await box.jobs.get(id ?? (await newestRunning(box)), { signal: session.signal })
  const offset = flags.offset === undefined ? undefined : wholeNumber(flags.offset, 'an offset in bytes')
  const command = await box.jobs.attach(job.id, { offset })
  const next = `  next: gibil attach ${ref} ${job.id}   gibil kill ${ref} ${job.id}\n`
  if (job.tty && isTerminal(session)) {
    const end = await connectTerminal(command, session)
    if (end !== 'detached') return statusOf(end)
    session.note(`\nDetached. The command goes on.\n${next}`)
    return 0
  }
  let left = false
  const release = session.onInterrupt(() => {
    left = true
    command.detach()
  })
  try {
    if (flags.stdin) feed(command, session)
    return statusOf(await pump(command, session))
  } catch (error) {
    if (!left) throw error
    session.note(`\nDetached at offset ${command.offset}. The command goes on.\n${next}`)
    return 0
  } finally {
    release()
  }
}

export async function newestRunning(box: BoxHandle): Promise<string> {
  const jobs = await box.jobs.list()
  const running = jobs.filter((job) => job.exit === null).at(-1)
  if (running) return running.id
  throw new GibilError('job_not_found', `No command runs in ${box.ref}.`, {
    hint: `Start one: gibil run ${box.ref} --detach -- <command>`,
  })
}
