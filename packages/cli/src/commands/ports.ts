import { GibilError, type OpenPort, type PortAddress } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { table } from '../output/text.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command).argument('<box>', 'name or id').action(action(cli, ports))
}

async function ports(session: Session, ref: string): Promise<void> {
  const { signal } = session
  const box = session.gibil.box(ref)
  const published = await box.published({ signal })
  const listening = await listeningIn(() => box.ports({ signal }))
  if (listening === undefined) session.note(`${ref} does not run, so that nothing listens in it.\n`)
  else if (listening.length === 0) session.note(`Nothing in ${ref} listens on a port.\n`)
  const all = join(listening ?? [], published)
  session.emit(all, () => (all.length === 0 ? '' : portTable(all, session)))
}

/** Undefined when the box does not run: what is published is known all the same. */
async function listeningIn(ask: () => Promise<OpenPort[]>): Promise<OpenPort[] | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (GibilError.is(error) && error.code === 'wrong_state') return undefined
    throw error
  }
}

type Row = { readonly port: number } & Partial<Omit<OpenPort, 'port'>> & {
    readonly published: Omit<PortAddress, 'port'> | null
  }

function join(listening: readonly OpenPort[], published: readonly PortAddress[]): Row[] {
  const addressOf = (wanted: number): Row['published'] => {
    const { port: _, ...address } = published.find(({ port }) => port === wanted) ?? { port: 0 }
    return 'url' in address ? address : null
  }
  const silent = published.filter(({ port }) => !listening.some((open) => open.port === port))
  return [...listening, ...silent.map(({ port }) => ({ port }))]
    .map((row) => ({ ...row, published: addressOf(row.port) }))
    .sort((one, other) => one.port - other.port)
}

function portTable(all: readonly Row[], { colors }: Session): string {
  const rows = all.map(({ port, address, pid, process, published }) => [
    String(port),
    address ?? 'nothing listens',
    process ?? '-',
    String(pid ?? '-'),
    published === null ? '-' : published.public ? 'public' : 'private',
    published?.link ?? '-',
  ])
  return table(['PORT', 'ADDRESS', 'PROCESS', 'PID', 'PUBLISHED', 'LINK'], rows, colors.dim)
}
