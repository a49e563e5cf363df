import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { runningDaemon, stopDaemon } from '../setup/daemon-process.ts'

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command).action(action(cli, down))
}

async function down(session: Session): Promise<void> {
  const daemon = await runningDaemon(session.home)
  if (daemon === undefined) {
    session.emit({ stopped: false }, '')
    session.note('No daemon runs. Start it: ./gibil up\n')
    return
  }
  const boxes = await session.gibil.list().catch(() => [])
  await stopDaemon(session.home)
  const running = boxes.filter((box) => box.status === 'running').length
  session.emit({ stopped: true, boxesRunning: running }, '')
  session.note(`${session.colors.green('✓')} the daemon has stopped\n`)
  if (running > 0) session.note(`  ${running} boxes go on running, but no lease ends them until the daemon is back.\n`)
  session.note('  next: ./gibil up\n')
}
