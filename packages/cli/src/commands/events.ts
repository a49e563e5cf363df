import { type Event, refOf } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { wholeNumber } from '../options/parse.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { write } from '../streaming.ts'

interface Flags {
  readonly follow?: boolean
  readonly box?: string
  readonly after?: string
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .option('-f, --follow', 'go on with what happens from now on')
    .option('--box <box>', 'only of one box')
    .option('--after <seq>', 'only after the event of this number')
    .addHelpText('after', '\nWith --json each event is one line.')
    .action(action(cli, events))
}

async function events(session: Session, { after: given, box, follow = false }: Flags): Promise<void> {
  const after = given === undefined ? 0 : wholeNumber(given, 'the number of an event')
  let shown = 0
  for await (const event of session.gibil.events({ after, box, follow, signal: session.signal })) {
    shown += 1
    await write(session.stdout, session.json ? `${JSON.stringify(event)}\n` : line(event, session))
  }
  if (shown === 0) session.note('No events yet. See them live: gibil events --follow\n')
}

const boxOf = ({ boxName, boxId, owner }: Event): string =>
  boxName === null ? (boxId ?? '-') : refOf({ name: boxName, owner })

function line(event: Event, { colors }: Session): string {
  const data = Object.entries(event.data).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return `${colors.dim(event.at)} ${event.type.padEnd(14)} ${clean(boxOf(event))} ${colors.dim(clean(data.join(' ')))}\n`
}
