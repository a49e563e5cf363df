import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { table } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command).argument('<box>', 'name or id').action(action(cli, ports))
}

async function ports(session: Session, ref: string): Promise<void> {
  const open = await session.gibil.box(ref).ports({ signal: session.signal })
  if (open.length === 0) session.note(`Nothing in ${ref} listens on a port.\n`)
  const rows = open.map(({ port, address, pid, process }) => [
    String(port),
    address,
    process ?? '-',
    String(pid ?? '-'),
  ])
  session.emit(open, () =>
    open.length === 0 ? '' : table(['PORT', 'ADDRESS', 'PROCESS', 'PID'], rows, session.colors.dim),
  )
}
