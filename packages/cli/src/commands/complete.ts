import type { Command } from 'commander'
import { candidates } from '../completion/candidates.ts'
import type { Cli } from '../context.ts'
import { action, type Session } from '../session.ts'

/** Not for people: prints a line for each candidate, with a tab and a description where there is one. */
export function define(command: Command, cli: Cli): void {
  command
    .argument('[words...]', 'the words after the program, the last one being typed')
    .allowUnknownOption()
    .action(action(cli, complete))
}

async function complete(session: Session, words: string[]): Promise<void> {
  const found = await candidates(words, session)
  session.stdout.write(found.map(({ value, summary }) => `${value}${summary ? `\t${summary}` : ''}\n`).join(''))
}
