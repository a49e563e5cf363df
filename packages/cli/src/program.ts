import type { Command } from 'commander'
import type { Cli } from './context.ts'
import type { Verb } from './verb.ts'

/** The program with one verb defined to the last option, and of the others only the name. */
export async function createProgram(verbs: readonly Verb[], verb: Verb | undefined, cli: Cli): Promise<Command> {
  const { Command } = await import('commander')
  const program = new Command('gibil')
    .option('--home <dir>', 'home directory of the daemon (GIBIL_HOME)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => cli.stdout.write(text), writeErr: () => {} })
    .showSuggestionAfterError(true)
  for (const known of verbs) {
    const command = program.command(known.name, { hidden: known.hidden ?? false }).summary(known.summary)
    command.description(`${known.summary[0]?.toUpperCase()}${known.summary.slice(1)}.`)
    if (known.aliases) command.aliases([...known.aliases])
    command.helpOption('-h, --help', 'show this help')
    if (known === verb) (await known.load()).define(command, cli, verbs)
  }
  return program
}

export const findVerb = (verbs: readonly Verb[], name: string): Verb | undefined =>
  verbs.find((verb) => verb.name === name || verb.aliases?.includes(name))
