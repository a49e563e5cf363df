import { type Box, GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { type CreateFlags, egressOptions } from '../options/create.ts'
import { collect } from '../options/parse.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

interface EgressFlags extends Pick<CreateFlags, 'allow' | 'deny'> {
  readonly clear?: boolean
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('<box>', 'name or id')
    .option('--deny <address>', 'an IPv4 address or network that it may not connect to; repeat it', collect)
    .option('--allow <address>', 'one that it may, whatever is denied; repeat it', collect)
    .option('--clear', 'all that its network policy lets it')
    .addHelpText('after', '\nWhat is given replaces what was said before, and holds at once, for open connections too.')
    .action(action(cli, egress))
}

async function egress({ gibil, signal, colors, ...session }: Session, ref: string, flags: EgressFlags): Promise<void> {
  const wish = egressOptions(flags)
  if (wish && flags.clear) {
    throw new GibilError('invalid_request', '--clear takes all rules away, so it goes with no other.')
  }
  const box = gibil.box(ref)
  const change = flags.clear ? {} : wish
  const now: Box = change ? await box.setEgress(change, { signal }) : await box.refresh({ signal })
  const lines = (['allow', 'deny'] as const).flatMap((list) => now.egress[list].map((net) => `${list} ${net}\n`))
  session.emit({ ...now.egress }, lines.join(''))
  if (change) session.note(`${colors.green('✓')} ${clean(now.name)}: ${lines.length} rules on addresses\n`)
}
