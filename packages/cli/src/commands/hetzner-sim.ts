import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Command } from 'commander'
import type { Cli } from '../context.ts'
import { action, type Session, withCommonOptions } from '../session.ts'
import { hetznerSimEntry } from '../setup/source-tree.ts'

interface Flags {
  readonly port?: string
  readonly token?: string
  readonly state?: string
  readonly images?: string
  readonly actionMs?: string
}

export function define(command: Command, cli: Cli): void {
  withCommonOptions(command)
    .option('--port <n>', 'on 127.0.0.1 (default: any that is free)')
    .option('--token <token>', 'what clients have to give (default: made up, and kept in --state)')
    .option('--state <dir>', 'keep what there is over a restart (default: nothing is kept)')
    .option(
      '--images <dir>',
      'boot real machines, of <dir>/<image>/disk.qcow2 (default: nothing stands behind servers)',
    )
    .option('--action-ms <n>', 'how long an action takes at least, in milliseconds (default 500)')
    .action(action(cli, hetznerSim))
}

/** Runs the simulator in the foreground as a process of its own, which says where it is and checks the options, until it is interrupted. */
async function hetznerSim(session: Session, flags: Flags): Promise<number> {
  const { json } = session
  const { actionMs, port, token, state, images } = flags
  const args = Object.entries({ port, token, state, images, 'action-ms': actionMs })
    // With `=`: what begins with a dash is a value all the same.
    .flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]))
  const child = spawn(process.execPath, [hetznerSimEntry, ...args, ...(json ? ['--json'] : [])], { stdio: 'inherit' })
  const release = session.onInterrupt(() => child.kill('SIGTERM'))
  try {
    const [status] = await once(child, 'exit')
    return typeof status === 'number' ? status : 1
  } finally {
    release()
  }
}
