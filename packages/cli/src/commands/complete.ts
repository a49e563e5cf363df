import type { Command } from 'commander'
import { candidates } from '../completion/candidates.ts'
import type { Cli } from '../context.ts'
import { action, type Session } from '../session.ts'
import type { Verb } from '../verb.ts'

/** Not for people: prints a line for each candidate, with a tab and a description where there is one. */
export function define(command: Command, cli: Cli, verbs: readonly Verb[]): void {
  command
    .argument('[words...]', 'the words after the program, the last one being typed')
    .allowUnknownOption()
    .action(action(cli, (session: Session, words: string[]) => complete(session, words, verbs)))
}

async function complete(session: Session, words: readonly string[], verbs: readonly Verb[]): Promise<void> {
  const found = await candidates(words, session, verbs)
  session.stdout.write(found.map(({ value, summary }) => `${value}${summary ? `\t${summary}` : ''}\n`).join(''))
}
