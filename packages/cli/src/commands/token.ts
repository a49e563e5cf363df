import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { cpus, duration, mebibytes, wholeNumber } from '../options/parse.ts'
import { action, withCommonOptions } from '../session.ts'
import { tokenVerbs } from '../token-verbs.ts'

export function define(command: Command, cli: Cli): void {
  const sub = (name: string, summary: string): Command =>
    withCommonOptions(command.command(name).description(summary).exitOverride())
  sub('create', 'Make a token. Its secret is shown this once.')
    .argument('<name>', 'whose it is, such as ci')
    .option('--max-boxes <n>', 'boxes kept at once', (text) => wholeNumber(text, 'a number of boxes'))
    .option('--max-cpu <n>', 'vCPUs of all its boxes together', cpus)
    .option('--max-memory <amount>', 'memory of all its boxes together, such as 16G', mebibytes)
    .option('--max-disk <amount>', 'disk of all its boxes together, such as 100G', mebibytes)
    .option('--ttl <duration>', 'how long the token is good for (default: until it is revoked)', (text) =>
      duration(text),
    )
    .option('--e2b', 'a key for the door that speaks E2B, and for nothing else')
    .addHelpText(
      'after',
      '\nEvery box that a token keeps counts, whatever its status. A name that was used before gets the boxes that are left of it:\nto change limits or the secret, revoke the token and make it again.',
    )
    .action(action(cli, tokenVerbs.create))
  sub('list', 'List tokens with their limits, and what their boxes take of them.')
    .alias('ls')
    .option('-q, --quiet', 'only the names')
    .action(action(cli, tokenVerbs.list))
  sub('revoke', 'Refuse the calls of tokens from now on. Their boxes live on by their lease.')
    .alias('rm')
    .argument('<token...>', 'names')
    .action(action(cli, tokenVerbs.revoke))
}
