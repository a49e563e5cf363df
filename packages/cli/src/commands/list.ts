import { refOf } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { boxTable } from '../output/box.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .option('--fleet <id>', 'only the boxes of one fleet')
    .option('-q, --quiet', 'only the names')
    .action(action(cli, list))
}

async function list(session: Session, { fleet, quiet }: { fleet?: string; quiet?: boolean }): Promise<void> {
  const boxes = await session.gibil.list({ fleet, signal: session.signal })
  if (boxes.length === 0)
    session.note(`No boxes${fleet ? ` in fleet ${fleet}` : ''}. Create one: gibil create --name w --ttl 90m\n`)
  session.emit(boxes, () => {
    if (quiet) return boxes.map((box) => `${refOf(box)}\n`).join('')
    return boxes.length === 0 ? '' : boxTable(boxes, session)
  })
}
