import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { e2bVerbs } from '../e2b-verbs.ts'
import { action, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(
    command.command('setup').description('Open the door, make a key, and print what programs need.').exitOverride(),
  )
    .option('--shape <shape>', 'what a sandbox is made as: microvm (default) or container')
    .option('--port <n>', 'on 127.0.0.1 (default: that of the last time, else 7443)', (text) => Number(text))
    .option('--domain <name>', 'sandboxes are <port>-<id>.<name> (default: e2b.localhost with the port)')
    .option('--tls', 'print what programs need to come by TLS and host names')
    .option('--cert <file>', 'a certificate of your own for *.<domain>, in PEM with its chain; "none": no more')
    .option('--key <file>', 'its private key, in PEM')
    .option('--token <name>', 'the name of the token that the API key is of (default: e2b)')
    .option('--no-build', 'do not build the image e2b where it is missing')
    .addHelpText('after', '\nPrints lines for a shell: eval "$(gibil e2b setup --shape container)". See docs/e2b.md.')
    .action(action(cli, e2bVerbs.setup))
}
