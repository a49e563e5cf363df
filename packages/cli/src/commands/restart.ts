import { GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { eachBox } from '../targets.ts'

interface Flags {
  readonly keepDisk?: boolean
  readonly fresh?: boolean
  readonly force?: boolean
  readonly yes?: boolean
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box...>', 'names or ids')
    .option('--keep-disk', 'on the disk that it has, which is the default')
    .option('--fresh', 'on a new disk made from its image; what is on the old one is lost')
    .option('--force', 'end it at once, without a grace for its processes')
    .option('-y, --yes', 'do not ask before a disk is lost')
    .action(action(cli, restart))
}

async function restart(session: Session, refs: string[], flags: Flags): Promise<number> {
  const { keepDisk, fresh, force, yes } = flags
  if (keepDisk && fresh) {
    throw new GibilError('invalid_request', '--keep-disk and --fresh say the opposite of each other.', {
      hint: 'Give one of them; without any the disk is kept.',
    })
  }
  if (fresh && !yes) await confirm(session, refs)
  const done = fresh ? 'restarted on a new disk' : 'restarted, its disk kept'
  return eachBox(session, refs, { done }, (box) => box.restart({ force, fresh, signal: session.signal }))
}

async function confirm(session: Session, refs: readonly string[]): Promise<void> {
  const what = `what is on the disk of ${refs.join(', ')}`
  if (session.stdin.isTTY !== true || session.stderr.isTTY !== true || session.json) {
    throw new GibilError('invalid_request', `This would remove ${what}.`, { hint: 'Add --yes to do it.' })
  }
  const prompts = await import('@clack/prompts')
  const answer = await prompts.confirm({ message: `Remove ${what}?`, initialValue: false, output: session.stderr })
  if (answer !== true) {
    throw new GibilError('cancelled', 'Nothing was restarted.', { hint: 'Without --fresh the disk is kept.' })
  }
}
