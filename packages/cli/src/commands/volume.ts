import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { mebibytes } from '../options/parse.ts'
import { action, withCommonOptions } from '../session.ts'
import { volumeVerbs } from '../volume-verbs.ts'

export function define(command: Command, cli: Cli): void {
  const sub = (name: string, summary: string): Command =>
    withCommonOptions(command.command(name).description(summary).exitOverride())
  sub('create', 'Make a volume: a directory that outlives boxes, and that several containers have at once.')
    .argument('<name>', '1 to 63 of A-Z, a-z, 0-9, "-" and "_"')
    .option('--size <amount>', 'the most that it will hold, such as 2G (default 10G)', mebibytes)
    .addHelpText('after', '\nGive it to a box: gibil create --volume <name>:/data')
    .action(action(cli, volumeVerbs.create))
  sub('list', 'List volumes, what they take of the disk, and the boxes that have them.')
    .alias('ls')
    .option('-q, --quiet', 'only the names')
    .action(action(cli, volumeVerbs.list))
  sub('rm', 'Remove volumes with all that is in them. Refused while a box has one.')
    .aliases(['remove', 'delete'])
    .argument('<volume...>', 'names or ids')
    .action(action(cli, volumeVerbs.remove))
}
