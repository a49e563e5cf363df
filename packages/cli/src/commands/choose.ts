import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { addNeedsOptions, type NeedsFlags, needsOf } from '../options/needs.ts'
import { choiceText } from '../output/choice.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  addNeedsOptions(withCommonOptions(command)).option('-y, --yes', 'ask nothing').action(action(cli, choose))
}

async function choose(session: Session, flags: NeedsFlags & { readonly yes?: boolean }): Promise<void> {
  const said = needsOf(flags)
  const asks =
    !flags.yes &&
    !session.json &&
    Object.keys(said).length === 0 &&
    session.stdin.isTTY === true &&
    session.stderr.isTTY === true
  const needs = asks ? await (await import('../options/ask-needs.ts')).askNeeds(session) : said
  const choice = await session.gibil.choose(needs, { signal: session.signal })
  session.emit(choice, () => choiceText(choice, session))
}
