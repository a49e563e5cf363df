import { type Box, formatMoney } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { eachBox } from '../targets.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box...>', 'names or ids')
    .option(
      '--snapshot',
      'of a cloud: keep it as a snapshot and give the machine back, which is billed while it exists',
    )
    .action(
      action(cli, (session: Session, refs: string[], { snapshot }: { snapshot?: boolean }) =>
        eachBox(session, refs, { done: 'stopped' }, async (box) => {
          const after = await box.stop({ ...(snapshot ? { snapshot } : {}), signal: session.signal })
          noteBill(session, after)
          return after
        }),
      ),
    )
}

/** Whoever stops a box may think that it costs nothing then. */
function noteBill(session: Session, { name, cost }: Box): void {
  if (!cost?.billed) return
  const rate = formatMoney(cost.hourly, cost.currency)
  const ref = clean(name)
  session.note(
    `${session.colors.yellow('!')} ${ref} is off and still billed: ${rate} per hour, as long as its machine exists\n`,
  )
  session.note(`  next: gibil stop --snapshot ${ref}   gibil destroy ${ref}\n`)
}
