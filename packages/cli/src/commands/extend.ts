import { type Box, GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { duration } from '../options/parse.ts'
import { timeLeft } from '../output/box.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .argument('[ttl]', 'new time to live, counted from now: 90m, 2h, 7d, none')
    .option('--ttl <ttl>', 'the same as an option')
    .action(action(cli, extend))
}

async function extend(
  session: Session,
  ref: string,
  given: string | undefined,
  flags: { ttl?: string },
): Promise<void> {
  const ttl = given ?? flags.ttl
  if (ttl === undefined)
    throw new GibilError('invalid_request', 'How long?', { hint: `Give a time: gibil extend ${ref} 2h` })
  const box: Box = await session.gibil.box(ref).extend(duration(ttl, { none: true }), { signal: session.signal })
  const left = timeLeft(box, Date.now())
  session.emit(box, `${box.lease.expiresAt ?? 'none'}\n`)
  session.note(`${session.colors.green('✓')} ${clean(box.name)}: time left ${left}, then ${box.lease.onExpire}\n`)
  if (box.lease.deadlineAtProvider === 'pending') {
    session.note(
      `${session.colors.yellow('!')} its provider could not be told; the daemon tries again, and a sweep from elsewhere may end it at the old time\n`,
    )
  }
}
