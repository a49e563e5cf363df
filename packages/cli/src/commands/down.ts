import { setTimeout as sleep } from 'node:timers/promises'
import { GibilError } from '@gibil/sdk'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'

const deadlineMs = 20_000

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command).action(action(cli, down))
}

async function down(session: Session): Promise<void> {
  const daemon = await session.gibil.version({ signal: session.signal }).catch((error: unknown) => {
    if (GibilError.is(error) && error.code === 'daemon_unreachable') return undefined
    throw error
  })
  if (!daemon) {
    session.emit({ stopped: false }, '')
    session.note('No daemon runs. Start it: ./gibil up\n')
    return
  }
  const boxes = await session.gibil.list().catch(() => [])
  await session.gibil.shutdown()
  await gone(session, daemon.pid)
  const running = boxes.filter((box) => box.status === 'running').length
  session.emit({ stopped: true, pid: daemon.pid, boxesRunning: running }, '')
  session.note(`${session.colors.green('✓')} the daemon (process ${daemon.pid}) has stopped\n`)
  if (running > 0) session.note(`  ${running} boxes go on running, but no lease ends them until the daemon is back.\n`)
  session.note('  next: ./gibil up\n')
}

/** Waits until the daemon no longer answers and, where it is on this machine, its process has ended. */
async function gone(session: Session, pid: number): Promise<void> {
  const local = (await session.gibil.endpoint()).kind === 'socket'
  const deadline = Date.now() + deadlineMs
  while (Date.now() < deadline) {
    const answers = local
      ? processRuns(pid)
      : await session.gibil.health().then(
          () => true,
          () => false,
        )
    if (!answers) return
    await sleep(20)
  }
  throw new GibilError('timeout', `The daemon (process ${pid}) did not stop within ${deadlineMs / 1000} s.`, {
    hint: `See gibild.log in ${session.home}.`,
  })
}

function processRuns(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
