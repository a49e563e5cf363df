import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, withCommonOptions } from '../session.ts'
import { snapshotVerbs } from '../snapshot-verbs.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .argument('[box]', 'only those of one box, which may be gone')
    .option('-q, --quiet', 'only the names')
    .action(action(cli, snapshotVerbs.list))
  withCommonOptions(
    command.command('rm').description('Remove snapshots. Boxes that began as one live on.').exitOverride(),
  )
    .alias('remove')
    .argument('[snapshot...]', 'names or ids')
    .option('--all', 'every snapshot')
    .option('-y, --yes', 'do not ask')
    .action(action(cli, snapshotVerbs.remove))
}
