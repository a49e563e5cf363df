import type { Command } from 'commander'
import { configPaths, readDefaults } from '../config/config.ts'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command).action(action(cli, config))
}

async function config(session: Session): Promise<void> {
  const paths = configPaths(session)
  const defaults = await readDefaults(session)
  const daemon = await session.gibil.endpoint()
  const where = daemon.kind === 'socket' ? daemon.path : daemon.url.href
  const { stringify } = await import('yaml')
  session.emit({ home: session.home, daemon: where, files: paths, defaults }, () =>
    stringify({ home: session.home, daemon: where, defaults }),
  )
  if (Object.keys(defaults).length === 0) session.note('No defaults are set. Write some: gibil init\n')
}
