import { setTimeout as sleep } from 'node:timers/promises'
import type { Event } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { wholeNumber } from '../options/parse.ts'
import { refOf } from '../output/box.ts'
import { clean } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { write } from '../streaming.ts'

interface Flags {
  readonly follow?: boolean
  readonly box?: string
  readonly after?: string
}

/** The daemon sends what it keeps at once; when nothing more comes for this long, that was all. */
const quietMs = 300

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .option('-f, --follow', 'go on with what happens from now on')
    .option('--box <box>', 'only of one box')
    .option('--after <seq>', 'only after the event of this number')
    .addHelpText('after', '\nWith --json each event is one line.')
    .action(action(cli, events))
}

async function events(session: Session, flags: Flags): Promise<void> {
  const stop = new AbortController()
  const signal = AbortSignal.any([session.signal, stop.signal])
  const after = flags.after === undefined ? 0 : wholeNumber(flags.after, 'the number of an event')
  const source = session.gibil.events({ after, box: flags.box, signal })[Symbol.asyncIterator]()
  let shown = 0
  for (;;) {
    const next = source.next()
    const result = await (flags.follow ? next : Promise.race([next, sleep(quietMs, undefined)]))
    if (!result || result.done) {
      stop.abort()
      await next
      break
    }
    shown += 1
    await write(session.stdout, session.json ? `${JSON.stringify(result.value)}\n` : line(result.value, session))
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
