import { GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import { cliVersion } from '../cli-version.ts'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command).action(action(cli, version))
}

async function version(session: Session): Promise<void> {
  const daemon = await session.gibil.version({ signal: session.signal }).catch((error: unknown) => {
    if (GibilError.is(error) && error.code === 'daemon_unreachable') return null
    throw error
  })
  const cli = cliVersion()
  session.emit({ cli, node: process.versions.node, daemon }, `gibil ${cli}, Node ${process.versions.node}\n`)
  if (!daemon) session.note('No daemon runs. Start it: ./gibil up\n')
  else if (!session.json) {
    session.stdout.write(`gibild ${daemon.version}, process ${daemon.pid}, home ${daemon.home}\n`)
    if (daemon.version !== cli) session.note('They differ: restart the daemon with `gibil down` and `./gibil up`.\n')
  }
}
